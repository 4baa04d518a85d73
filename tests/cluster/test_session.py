import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tripletune.cluster import RaySession, open_session
from tripletune.cluster.authentication import client_mode, default_token_file

pytestmark = pytest.mark.ray


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, which has no Ray connection and no token."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    package_root = Path(__file__).parents[2] / ".pkg"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": str(package_root)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_private_session_has_the_cpus_asked_for(ray_session: RaySession) -> None:
    (node,) = ray_session.nodes()

    assert ray_session.is_private
    assert not ray_session.is_borrowed
    assert node["CPU"] == 2
    assert "GPU" not in node


def test_workers_import_the_package(ray_session: RaySession) -> None:
    import ray

    @ray.remote
    def version() -> str:
        import tripletune

        return tripletune.__version__

    import tripletune

    assert ray.get(version.remote()) == tripletune.__version__


def test_open_connection_is_used_and_left_open(ray_session: RaySession) -> None:
    import ray

    with open_session() as inner:
        assert inner.address == ray_session.address
        assert not inner.is_private
        assert inner.is_borrowed

    assert ray.is_initialized()


def test_connection_to_another_cluster_is_refused(ray_session: RaySession) -> None:
    with (
        pytest.raises(RuntimeError, match=r"is connected to Ray at .* not at address='10\.0"),
        open_session("10.0.0.1:6379"),
    ):
        pass


def test_session_without_its_token_is_refused_within_seconds(ray_session: RaySession) -> None:
    result = run_python(
        f"""
import time
import ray
from tripletune.cluster import open_session
started = time.monotonic()
try:
    with open_session({ray_session.address!r}):
        print("connected")
except ConnectionError as error:
    print(error)
print(time.monotonic() - started < 15)  # Ray alone takes 20 s
""",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN="0" * 64,
    )

    message, is_quick = result.stdout.splitlines()
    assert "did not accept this process's token; set RAY_AUTH_MODE=token" in message
    assert ray_session.address in message
    assert is_quick == "True"


def test_session_with_its_token_is_joined_and_left_running(ray_session: RaySession) -> None:
    import ray

    result = run_python(
        f"""
import ray
from tripletune.cluster import open_session
with open_session({ray_session.address!r}) as session:
    @ray.remote
    def where():
        import tripletune
        return tripletune.__file__
    print(session.is_private, ray.get(where.remote()))
print(ray.is_initialized())
""",
        RAY_AUTH_TOKEN=os.environ["RAY_AUTH_TOKEN"],
    )

    joined, left = result.stdout.splitlines()
    is_private, _, shipped = joined.partition(" ")
    assert is_private == "False"
    assert shipped.endswith("tripletune/__init__.py")
    assert left == "False"
    assert len(ray.nodes()) == 1


def test_private_session_starts_beside_a_leftover_and_restores_what_it_changed() -> None:
    # Short: the paths of Ray's sockets below it have at most 107 bytes.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="tt-") as temp_dir:
        (Path(temp_dir) / "ray_current_cluster").write_text("127.0.0.1:1")
        result = run_python(
            f"""
import os
import signal
from pathlib import Path

import ray
from tripletune.cluster import open_session

def handler(number, frame):
    pass

signal.signal(signal.SIGTERM, handler)
before = dict(os.environ)
with open_session(num_cpus=1, num_gpus=0, temp_dir=Path({temp_dir!r})) as session:
    print(len(session.nodes()), signal.getsignal(signal.SIGTERM) is handler)
print(ray.is_initialized(), {{k for k in os.environ if os.environ[k] != before.get(k)}})
with open_session(num_cpus=1, num_gpus=0) as session:
    print(len(session.nodes()))
""",
            RAY_ADDRESS="127.0.0.1:1",
            RAY_AUTH_MODE="disabled",
            HOME=temp_dir,
        )
        has_written_a_token = (Path(temp_dir) / ".ray").exists()

    assert result.stdout.splitlines() == ["1 True", "False set()", "1"], result.stderr
    assert not has_written_a_token


@pytest.mark.parametrize(
    ("announced", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster can be reached at address 127.0.0.1:1: tried to connect"),
        (None, "no Ray cluster was found by address auto: RAY_ADDRESS is not set"),
    ],
)
def test_auto_without_a_running_cluster_is_reported(
    announced: str | None, message: str, tmp_path: Path
) -> None:
    if announced is not None:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(announced)

    result = run_python(
        """
from tripletune.cluster import open_session
try:
    with open_session("auto"):
        print("connected")
except ConnectionError as error:
    print(error)
""",
        RAY_TMPDIR=str(tmp_path),
    )

    assert result.stdout.startswith(message), result.stderr


def test_long_temp_dir_is_refused(tmp_path: Path) -> None:
    result = run_python(
        f"""
from pathlib import Path
from tripletune.cluster import open_session
try:
    with open_session(temp_dir=Path({str(tmp_path / ("d" * 100))!r})):
        print("started")
except ValueError as error:
    print(error)
"""
    )

    assert result.stdout.startswith("temp_dir must be short"), result.stderr


@pytest.mark.parametrize(
    ("address", "num_cpus", "message"),
    [
        ("10.0.0.1:6379", 2, "belong to a private Ray, got them with address='10.0.0.1:6379'"),
        (None, 0, "num_cpus must be >= 1, got num_cpus=0"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    address: str | None, num_cpus: int, message: str
) -> None:
    with (
        pytest.raises(ValueError, match=message),
        open_session(address, num_cpus=num_cpus),
    ):
        pass


def test_client_uses_a_token_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert client_mode({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "x"}) == {}
    assert client_mode({}) == {"RAY_AUTH_MODE": "disabled"}
    assert client_mode({"RAY_AUTH_TOKEN": "x"}) == {"RAY_AUTH_MODE": "token"}
    default_token_file().parent.mkdir()
    default_token_file().write_text("x")
    assert client_mode({}) == {"RAY_AUTH_MODE": "token"}
