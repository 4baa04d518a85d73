"""Why a search should end before its last trial: a signal, the time budget, a full disk."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .folder import RESERVE_BYTES, StudyError, StudyFolder

DISK_CHECK_S = 2.0

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Of a person, of a cluster that takes the machine away, of SLURM before the end of its time."""


class StopRequest:
    """Whether and why the search should end: a signal, the time budget, a full disk.

    Attributes:
        reason: Why; None as long as it should go on.
        is_planned: Whether the end was asked for beforehand.
        signal_number: Of the signal, where it was one.
        may_drain: Whether there is time and room for a last checkpoint of each trial.
    """

    def __init__(self, folder: StudyFolder, time_budget_s: float | None) -> None:
        """Watch over one start of a search."""
        self._folder = folder
        self._deadline = time.monotonic() + time_budget_s if time_budget_s else None
        self._next_disk_check = 0.0
        self._has_signals = False
        self.reason: str | None = None
        self.is_planned = False
        self.signal_number: int | None = None
        self.may_drain = True

    def __call__(self) -> bool:
        """Whether to end now."""
        now = time.monotonic()
        if self.reason is None and self._deadline is not None and now > self._deadline:
            self.reason = "the time budget is used up"
            self.is_planned = True
        if self.reason is None and now > self._next_disk_check:
            self._next_disk_check = now + DISK_CHECK_S
            problem = disk_problem(self._folder)
            if problem is not None:
                self.give_up(problem)
        return self.reason is not None

    def ask(self, reason: str) -> None:
        """Ask for the end; the first reason stands."""
        self.reason = self.reason or reason

    def give_up(self, reason: str) -> None:
        """End at once: nothing more can be written. An earlier reason stands."""
        self.reason = self.reason or reason
        self.may_drain = False

    @contextmanager
    def on_study_error(self) -> Iterator[None]:
        """End the search in order when its study cannot be written."""
        try:
            yield
        except StudyError as error:
            self.give_up(str(error))
        except OSError as error:
            self.give_up(f"the study cannot be written: {error}")

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and SIGUSR1 ask for the end; a second one takes effect at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.getsignal(number) for number in SIGNALS}
        self._has_signals = True
        self.take_signals()
        try:
            yield
        finally:
            self._has_signals = False
            for number, handler in previous.items():
                signal.signal(number, handler)

    def take_signals(self) -> None:
        """Install the handlers, again where somebody took them; nothing outside `on_signals`."""
        if self._has_signals and self.signal_number is None:
            for number in SIGNALS:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        which = signal.Signals(number)
        self.reason = "Ctrl-C" if which == signal.SIGINT else which.name
        self.is_planned = False
        self.signal_number = number
        signal.signal(which, signal.SIG_DFL)


def disk_problem(folder: StudyFolder) -> str | None:
    """Why the disk cannot hold the study, or None."""
    free = folder.free_bytes()
    if free >= RESERVE_BYTES:
        return None
    return (
        f"the disk is nearly full: {free // 2**20} MiB left in {folder.path}, "
        f"{RESERVE_BYTES // 2**20} are kept in reserve"
    )
