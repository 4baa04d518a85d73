import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tripletune.cluster.address import ClusterAddress
from tripletune.cluster.session import open_session


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "protocol", "host", "port"),
    [
        ("10.0.0.1:6379", "gcs", "10.0.0.1", 6379),
        ("head.example:6379", "gcs", "head.example", 6379),
        ("ray://head.example:10001", "client", "head.example", 10001),
        ("[::1]:6379", "gcs", "::1", 6379),
    ],
)
def test_address_is_read(text: str, protocol: str, host: str, port: int) -> None:
    address = ClusterAddress.parse(text)

    assert (address.protocol, address.host, address.port) == (protocol, host, port)


@pytest.mark.parametrize(
    "text", ["", "head", "head:", ":6379", "head:port", "head:99999", "http://head:8265", "local"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address must be host:port .* got address="):
        ClusterAddress.parse(text)


@pytest.fixture
def foreign_service() -> Iterator[str]:
    """Address of something that answers as no Ray head would."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join()
    listener.close()


def test_port_of_something_else_is_reported(foreign_service: str) -> None:
    with (
        pytest.raises(ConnectionError, match=r"something listens at address .* no Ray head"),
        open_session(foreign_service),
    ):
        pass


@pytest.mark.parametrize("form", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}"])
def test_unused_port_is_reported_with_the_command_that_mends_it(form: str) -> None:
    address = form.format(port=unused_port())

    with (
        pytest.raises(ConnectionError, match=r"refused.*`ray start --head") as raised,
        open_session(address),
    ):
        pass

    assert address in str(raised.value)


def test_silent_host_is_given_up_after_the_timeout() -> None:
    # The system accepts for a listener that never does, as for a head that hangs.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(ConnectionError, match=r"for 0\.2 s \(no answer\)"):
            ClusterAddress.parse(f"127.0.0.1:{port}").require_reachable(timeout_s=0.2)

    assert time.monotonic() - started < 5


def test_unknown_host_is_reported() -> None:
    with pytest.raises(ConnectionError, match=r"no Ray cluster can be reached .*head\.invalid"):
        ClusterAddress.parse("head.invalid:6379").require_reachable()
