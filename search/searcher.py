"""What Ray Tune tries next, and where everything it reports goes: the study."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from ray.exceptions import RayActorError
from ray.tune import Callback
from ray.tune.result import DONE
from ray.tune.search import Searcher

from ..spaces import Space
from ..trainables.report import Report
from .leaderboard import METRIC
from .ray_trial import (
    FAILURE,
    NUMBER,
    RECIPE,
    REPORT,
    RESUME_FROM,
    THREADS,
    TRACEBACK,
    USES_GPU,
)
from .study import Study
from .trackers import Tracker

logger = logging.getLogger(__name__)


class StudySearcher(Searcher):
    """Hands out trials: first those an earlier start left unfinished, then Optuna's suggestions.

    It keeps no results: `StudyRecorder` writes them to the study, which the sampler reads.
    """

    def __init__(
        self, study: Study, space: Space, *, num_trials: int, threads: int, uses_gpu: bool
    ) -> None:
        """Plan the trials of this start.

        Args:
            study: Where trials come from.
            space: What may be tried.
            num_trials: Of the whole study, those of earlier starts included.
            threads: CPU threads of a trial.
            uses_gpu: Whether a trial was given a GPU, or a part of one.
        """
        super().__init__(metric=METRIC, mode="max")
        self._study = study
        self._space = space
        self._num_trials = num_trials
        self._threads = threads
        self._uses_gpu = uses_gpu
        records = study.records()
        self._num_asked = len(records)
        self._unfinished = deque(record for record in records if record.state == "running")

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Configuration of the next trial, or Ray Tune's word that there is none left."""
        if self._unfinished:
            record = self._unfinished.popleft()
        elif self._num_asked < self._num_trials:
            record = self._study.ask(self._space)
            self._num_asked += 1
        else:
            return cast(None, Searcher.FINISHED)  # a string, against its own annotation
        return {
            NUMBER: record.number,
            RECIPE: record.recipe.to_dict(),
            THREADS: self._threads,
            USES_GPU: self._uses_gpu,
            RESUME_FROM: [str(path) for path in self._study.folder.checkpoints(record.number)],
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the study knows."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state. Tune's snapshot would hold the storage's address."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed study starts a new run of Tune."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing of the study goes into Tune's own files."""
        return {}


class StudyRecorder(Callback):
    """Writes every result to the study as it comes in, then tells the trackers."""

    def __init__(self, study: Study, trackers: Sequence[Tracker]) -> None:
        """Record into a study.

        Args:
            study: Where to.
            trackers: Told after the study; one that raises costs a warning and is dropped.
        """
        self._study = study
        self._trackers = list(trackers)
        self._failures: dict[int, tuple[str, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing of the study goes into Tune's own files."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count the start."""
        number = trial.config[NUMBER]
        self._study.start(number)
        self._tell("trial_started", self._study.record(number))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the report, or the reason of a failure."""
        number = trial.config[NUMBER]
        if FAILURE in result:
            self._failures[number] = (result[FAILURE], result[TRACEBACK])
            return
        report = Report(**result[REPORT])
        # Tune tells the end only when the checkpoint is written; the verdict is kept at once.
        if self._study.report(number, report, is_last=bool(result.get(DONE))):
            attempt = self._study.record(number).attempts
            self._tell("trial_reported", number, attempt, report)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Tell how the trial ended."""
        number = trial.config[NUMBER]
        if number in self._failures:
            record = self._study.fail(number, *self._failures.pop(number))
        else:
            record = self._study.finish(number)
        self._tell("trial_ended", record)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial whose process died more often than it may be started again."""
        details = str(trial.get_error()).strip()
        reason = (
            f"its process was lost {trial.num_failures} times"
            if isinstance(trial.get_pickled_error(), RayActorError)
            else details.splitlines()[-1]
        )
        self._tell("trial_ended", self._study.fail(trial.config[NUMBER], reason, details))

    def _tell(self, event: str, *arguments: object) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, event)(*arguments)
            except Exception:  # a tracker must never cost a trial
                self._trackers.remove(tracker)
                logger.warning("%s failed and is not told any more", tracker, exc_info=True)
