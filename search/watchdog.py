"""Ends trials of which nothing is heard any more, or that take too long."""

import time
from collections.abc import Callable
from typing import Any, Final

import ray
from ray.tune import Callback

from .ray_trial import NUMBER
from .records import TrialRecord

FIRST_REPORT_S: Final = 1800.0
"""Patience before a study's first report: starts, downloads and compilers are in it."""

LEAST_PATIENCE_S: Final = 300.0
GENEROSITY: Final = 20.0
"""Patience by default: so many times the longest wait for a report so far."""

CHECK_EVERY_S: Final = 0.5


class Watchdog(Callback):
    """Kills the process of a trial that is overdue; the recorder asks for the verdict.

    A training step that hangs (a dead file system, a deadlock of a library) is never noticed by
    Ray: the process is alive, and its slot would be lost for the rest of the search.
    """

    def __init__(
        self,
        *,
        report_deadline_s: float | None,
        trial_time_limit_s: float | None,
        record_of: Callable[[int], TrialRecord],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch the trials of one start.

        Args:
            report_deadline_s: Longest wait for a report; None is `GENEROSITY` times the longest
                that was seen, at least `LEAST_PATIENCE_S`.
            trial_time_limit_s: Most seconds of a trial, over all its attempts; None is no limit.
            record_of: The record of a trial, by number.
            clock: Seconds.
        """
        self._deadline = report_deadline_s
        self._limit = trial_time_limit_s
        self._record_of = record_of
        self._clock = clock
        self._heard: dict[int, float] = {}
        self._longest = 0.0
        self._next_check = 0.0
        self._verdicts: dict[int, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given into its own files."""
        return {}

    def started(self, number: int) -> None:
        """A trial has a process."""
        self._heard[number] = self._clock()

    def heard_of(self, number: int) -> None:
        """A trial reported, or wrote a checkpoint."""
        now = self._clock()
        if number in self._heard:
            self._longest = max(self._longest, now - self._heard[number])
        self._heard[number] = now

    def ended(self, number: int) -> None:
        """A trial is over, or will be started again."""
        self._heard.pop(number, None)
        self._verdicts.pop(number, None)

    def verdict(self, number: int) -> str | None:
        """Why a trial's process was killed; None if it was not."""
        return self._verdicts.get(number)

    @property
    def patience_s(self) -> float:
        """How long nothing may be heard of a trial."""
        if self._deadline is not None:
            return self._deadline
        if not self._longest:
            return FIRST_REPORT_S
        return max(LEAST_PATIENCE_S, GENEROSITY * self._longest)

    def overdue(self, number: int) -> str | None:
        """Why a trial has to end; None if it may go on."""
        silence = self._clock() - self._heard[number]
        if silence > self.patience_s:
            return f"it reported nothing for {self.patience_s:.0f} s"
        if self._limit is not None:
            earlier = sum(span.last - span.began for span in self._record_of(number).log)
            if earlier + silence > self._limit:
                return f"it took more than {self._limit:.0f} s"
        return None

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look at the running trials, twice a second."""
        now = self._clock()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_EVERY_S
        late = {
            number: reason
            for number in self._heard
            if number not in self._verdicts and (reason := self.overdue(number))
        }
        if not late:
            return
        for trial in trials:
            number = trial.config[NUMBER]
            actor = trial.temporary_state.ray_actor
            if number in late and actor is not None:
                self._verdicts[number] = late[number]
                ray.kill(actor)
