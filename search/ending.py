"""Ends a search before its last trial, and leaves no process of it behind."""

from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback, Stopper


class SearchEnd(Callback, Stopper):
    """Ends Tune's loop between two events, at a point where nothing is half done.

    A session that ends with the search takes every process along: the loop is left at once. One
    that lives on would keep the processes of the trials, and their CPUs, as the exception keeps
    Tune's controller in cycles of references. There Tune is told to stop, which waits for
    processes that are starting, at most 10 s. Trials that were running are not told to be over.
    """

    def __init__(self, should_stop: Callable[[], bool], *, session_lives_on: bool) -> None:
        """Watch for the end.

        Args:
            should_stop: Asked many times a second.
            session_lives_on: Whether the processes must be ended here.
        """
        self._should_stop = should_stop
        self._session_lives_on = session_lives_on
        self._is_over = False
        self._busy_actors: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given into its own files."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Decide, and note who is at work, which Tune forgets when it stops a trial."""
        self._is_over = self._is_over or self._should_stop()
        if not self._is_over:
            return
        if not self._session_lives_on:
            raise SearchStopped
        actors = [trial.temporary_state.ray_actor for trial in trials]
        self._busy_actors = [actor for actor in actors if actor is not None]

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped by itself."""
        return False

    def stop_all(self) -> bool:
        """Whether Tune stops every trial and leaves its loop; asked before `on_step_end`."""
        return self._is_over

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the processes at work, for whose next report Tune would wait."""
        for actor in self._busy_actors:
            ray.kill(actor)
        self._busy_actors = []


class SearchStopped(BaseException):
    """Leaves Tune's loop; not an `Exception`, which Tune would turn into a failed experiment."""
