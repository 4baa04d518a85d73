"""The address of a Ray cluster: read, and tried before Ray is asked to connect to it.

Ray itself retries for minutes before it says that nothing answers, and does not say why; at
a port of something else it hangs.
"""

import os
import socket
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 5.0

# What a client of HTTP/2, and so of gRPC, says first: the preface and an empty SETTINGS frame. The
# server's own SETTINGS frame is the first thing that it sends.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEADER_BYTES = 9
_SETTINGS = 4

_FORMS = "host:port (a head started by `ray start --head`), ray://host:port (Ray Client) or auto"


@dataclass(frozen=True)
class ClusterAddress:
    """Host and port of a cluster's head.

    Attributes:
        text: As the user gave it.
        protocol: `gcs` is Ray's own, `client` that of Ray Client.
    """

    text: str
    protocol: Literal["gcs", "client"]
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the address in a text.

        Raises:
            ValueError: The text is neither `host:port` nor `ray://host:port`.
        """
        scheme, separator, _ = text.rpartition("://")
        try:
            parts = urlsplit(text if separator else f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if scheme not in ("", "ray") or not host or not port:
            raise ValueError(
                f"address must be {_FORMS}, got address={text!r}; "
                "leave it out to use this machine alone"
            )
        return cls(text, "client" if scheme else "gcs", host, port)

    def require_reachable(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Returns when a gRPC server, as Ray's head is, answers there.

        With ``RAY_USE_TLS`` it is enough that something accepts TCP connections.

        Args:
            timeout_s: How long to wait for it, seconds.

        Raises:
            ConnectionError: None does; the message holds the address, what was tried and the
                command that would mend it.
        """
        try:
            with socket.create_connection((self.host, self.port), timeout=timeout_s) as connection:
                is_grpc = os.environ.get("RAY_USE_TLS", "0") != "0" or _answers_grpc(connection)
        except OSError as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
            raise ConnectionError(
                f"no Ray cluster can be reached at address {self.text}: "
                f"tried to connect for {timeout_s:g} s ({reason}); {self.remedy}"
            ) from error
        if not is_grpc:
            raise ConnectionError(
                f"something listens at address {self.text}, but it is no Ray head; {self.remedy}"
            )

    @property
    def remedy(self) -> str:
        """What to do when nothing answers there."""
        if self.protocol == "client":
            return (
                f"start a head on {self.host} with "
                f"`ray start --head --ray-client-server-port={self.port}`, or check host and port"
            )
        return (
            f"start a head on {self.host} with `ray start --head --port={self.port}`, "
            "or check host and port"
        )


def _answers_grpc(connection: socket.socket) -> bool:
    connection.sendall(_GREETING)
    header = b""
    while len(header) < _FRAME_HEADER_BYTES:
        received = connection.recv(_FRAME_HEADER_BYTES - len(header))
        if not received:
            return False
        header += received
    return header[3] == _SETTINGS
