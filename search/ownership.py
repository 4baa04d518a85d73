"""The one process that runs a study, by name."""

import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Owner:
    """A process that runs a study.

    Attributes:
        host: Name of its machine.
        pid: Its process number there.
        began: Seconds since 1970.
        seen: The same, of its last sign of life.
        token: Tells two owners apart that look the same.
    """

    host: str
    pid: int
    began: float
    seen: float
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def this_process(cls) -> "Owner":
        """The owner that this process would be."""
        now = time.time()
        return cls(socket.gethostname(), os.getpid(), now, now)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_dead(self, *, stale_s: float) -> bool:
        """Whether it is known not to run any more, or has given no sign for `stale_s` seconds."""
        if time.time() - self.seen > stale_s:
            return True
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False
