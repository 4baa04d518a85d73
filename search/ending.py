"""Ends a search before its last trial, and leaves no process of it behind."""

import time
from typing import Any, Final

import ray
from ray.tune import Callback, Stopper

from .ray_trial import malformed
from .stop_request import StopRequest

DRAIN_S: Final = 3.0
"""How long the trials may take to end their reports and write a checkpoint each."""


class SearchEnd(Callback, Stopper):
    """Ends Tune's loop between two events, at a point where nothing is half done.

    Before it does, each running trial may end its current report and write a checkpoint, for at
    most `DRAIN_S`. Trials that were running are not told to be over.

    A session that ends with the search takes every process along: the loop is left at once. One
    that lives on would keep the processes of the trials, and their CPUs, as the exception keeps
    Tune's controller in cycles of references. There Tune is told to stop, which waits for
    processes that are starting, at most 10 s.
    """

    def __init__(self, stop: StopRequest, *, session_lives_on: bool) -> None:
        """Watch for the end.

        Args:
            stop: Asked many times a second.
            session_lives_on: Whether the processes must be ended here.
        """
        self._stop = stop
        self._session_lives_on = session_lives_on
        self._is_first = True
        self._is_over = False
        self._drain_until: float | None = None
        self._undrained: set[str] = set()
        self._busy_actors: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given into its own files."""
        return {}

    @property
    def is_draining(self) -> bool:
        """Whether the end has begun: no trial begins any more, every report gets a checkpoint."""
        return self._drain_until is not None

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Decide, and note who is at work, which Tune forgets when it stops a trial."""
        if self._is_first:
            self._is_first = False
            self._stop.take_signals()  # Tune has just taken SIGUSR1 for itself
        self._is_over = self._is_over or (self._stop() and self._is_drained(trials))
        if not self._is_over:
            return
        if not self._session_lives_on:
            raise SearchStopped
        actors = [trial.temporary_state.ray_actor for trial in trials]
        self._busy_actors = [actor for actor in actors if actor is not None]

    def on_trial_save(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has its checkpoint."""
        self._undrained.discard(trial.trial_id)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """A trial needs none."""
        self._undrained.discard(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial can write none."""
        self._undrained.discard(trial.trial_id)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """A trial is stopped that reports no score; the recorder says why it failed."""
        return malformed(result) is not None

    def stop_all(self) -> bool:
        """Whether Tune stops every trial and leaves its loop; asked before `on_step_end`."""
        return self._is_over

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the processes at work, for whose next report Tune would wait."""
        for actor in self._busy_actors:
            ray.kill(actor)
        self._busy_actors = []

    def _is_drained(self, trials: list[Any]) -> bool:
        """Whether every trial at work has written its checkpoint, or had the time to."""
        if not self._stop.may_drain:
            return True
        now = time.monotonic()
        if self._drain_until is None:
            self._drain_until = now + DRAIN_S
            self._undrained = {
                trial.trial_id for trial in trials if trial.temporary_state.ray_actor is not None
            }
        return not self._undrained or now > self._drain_until


class SearchStopped(BaseException):
    """Leaves Tune's loop; not an `Exception`, which Tune would turn into a failed experiment."""
