"""Why a search should end before its last trial: a signal, the time budget, a full disk."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .folder import RESERVE_BYTES, StudyFolder

DISK_CHECK_S = 2.0


class StopRequest:
    """Whether and why the search should end: a signal, the time budget, a full disk."""

    def __init__(self, folder: StudyFolder, time_budget_s: float | None) -> None:
        """Watch over one start of a search."""
        self._folder = folder
        self._deadline = time.monotonic() + time_budget_s if time_budget_s else None
        self._next_disk_check = 0.0
        self.reason: str | None = None
        self.is_planned = False
        self.signal_number: int | None = None

    def __call__(self) -> bool:
        """Whether to end now."""
        now = time.monotonic()
        if self.reason is None and self._deadline is not None and now > self._deadline:
            self.reason = "the time budget is used up"
            self.is_planned = True
        if self.reason is None and now > self._next_disk_check:
            self._next_disk_check = now + DISK_CHECK_S
            self.reason = disk_problem(self._folder)
        return self.reason is not None

    def ask(self, reason: str) -> None:
        """Ask for the end; the first reason stands."""
        self.reason = self.reason or reason

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for the end; a second one takes effect at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: FrameType | None) -> None:
            which = signal.Signals(number)
            self.reason = "Ctrl-C" if which == signal.SIGINT else which.name
            self.is_planned = False
            self.signal_number = number
            signal.signal(which, signal.SIG_DFL)

        previous = {
            number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def disk_problem(folder: StudyFolder) -> str | None:
    """Why the disk cannot hold the study, or None."""
    free = folder.free_bytes()
    if free >= RESERVE_BYTES:
        return None
    return (
        f"the disk is nearly full: {free // 2**20} MiB left in {folder.path}, "
        f"{RESERVE_BYTES // 2**20} are kept in reserve"
    )
