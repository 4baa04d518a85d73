"""What Ray Tune tries next, and where everything it reports goes: the study."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ray.exceptions import RayActorError
from ray.tune import Callback
from ray.tune.result import DONE
from ray.tune.search import Searcher

from ..cluster import Packing, shape_of
from ..spaces import Space, Value
from ..trainables.report import Report
from .families import Families
from .leaderboard import METRIC
from .ray_trial import (
    EPISODE_SCORES,
    FAILURE,
    GPUS,
    NUMBER,
    OUT_OF_MEMORY,
    PEAK_BYTES,
    RECIPE,
    REPORT,
    RESERVE_SCORES,
    RESUME_FROM,
    RETRY,
    THREADS,
    TRACEBACK,
    USES_GPU,
)
from .records import TrialRecord
from .samplers import SpaceExhausted
from .study import Study
from .trackers import Tracker

logger = logging.getLogger(__name__)


class StudySearcher(Searcher):
    """Hands out trials: first those an earlier start left unfinished, then Optuna's suggestions.

    It keeps no results: `StudyRecorder` writes them to the study, which the sampler reads.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        *,
        num_trials: int,
        threads: int,
        packing: Packing,
        room: Callable[[], int],
        families: Families | None = None,
    ) -> None:
        """Plan the trials of this start.

        Args:
            study: Where trials come from.
            space: What may be tried.
            num_trials: Of the whole study, those of earlier starts included.
            threads: CPU threads of a trial.
            packing: Decides what share of a GPU a trial reserves.
            room: How many trials may be under way now.
            families: Decide the family of a new trial; None leaves that to the sampler.
        """
        super().__init__(metric=METRIC, mode="max")
        self._families = families
        self._study = study
        self._space = space
        self._num_trials = num_trials
        self._threads = threads
        self._packing = packing
        self._room = room
        self._live: set[str] = set()
        self._retries: Counter[int] = Counter()
        records = study.records()
        self._num_asked = len(records)
        self._unfinished = deque(record for record in records if record.state == "running")

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Configuration of the next trial, or Ray Tune's word that there is none left."""
        if len(self._live) >= self._room():
            return None
        if self._unfinished:
            record = self._unfinished.popleft()
        elif self._num_asked < self._num_trials:
            try:
                record = self._study.ask(self._space, self._given())
            except SpaceExhausted as exhausted:
                logger.warning("the search ends early: %s", exhausted)
                self._num_trials = self._num_asked
                return self.suggest(trial_id)
            self._num_asked += 1
        elif self._live:
            return None  # one of them may have to be tried again
        else:
            return cast(None, Searcher.FINISHED)  # a string, against its own annotation
        self._live.add(trial_id)
        gpus = self._packing.gpus(shape_of(record.recipe))
        return {
            NUMBER: record.number,
            RECIPE: record.recipe.to_dict(),
            THREADS: self._threads,
            USES_GPU: gpus > 0,
            GPUS: gpus,
            RETRY: self._retries[record.number],
            RESUME_FROM: self._study.folder.checkpoint_addresses(record.number),
        }

    def _given(self) -> Mapping[str, Value]:
        """What the next recipe has, whatever the sampler draws."""
        if self._families is None:
            return {}
        return self._families.next(self._study.records(), self._num_trials)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Count it out; the rest the study knows."""
        self._live.discard(trial_id)

    def try_again(self, record: TrialRecord) -> None:
        """Hand out a trial once more: the machine, not the trial, was at fault."""
        self._retries[record.number] += 1
        self._unfinished.append(record)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state. Tune's snapshot would hold the storage's address."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed study starts a new run of Tune."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing of the study goes into Tune's own files."""
        return {}


class StudyRecorder(Callback):
    """Writes every result to the study as it comes in, then tells the trackers."""

    def __init__(
        self,
        study: Study,
        trackers: Sequence[Tracker],
        *,
        packing: Packing,
        try_again: Callable[[TrialRecord], None],
    ) -> None:
        """Record into a study.

        Args:
            study: Where to.
            trackers: Told after the study; one that raises costs a warning and is dropped.
            packing: Told what memory trials need, and asked what to do when there is too little.
            try_again: Takes the trials that ran out of memory and may be tried again.
        """
        self._packing = packing
        self._try_again = try_again
        self._starved: set[int] = set()
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
            if result[OUT_OF_MEMORY]:
                self._starved.add(number)
            return
        if result[PEAK_BYTES]:
            self._packing.measured(shape_of(self._study.record(number).recipe), result[PEAK_BYTES])
        attempt = self._study.record(number).attempts
        report = replace(Report(**result[REPORT]), attempt=attempt)
        # Before the report: what the journal tells has its scores.
        self._study.keep_episode_scores(
            number, report.step, result[EPISODE_SCORES], result.get(RESERVE_SCORES)
        )
        # Tune tells the end only when the checkpoint is written; the verdict is kept at once.
        if self._study.report(number, report, is_last=bool(result.get(DONE))):
            self._tell("trial_reported", number, attempt, report)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Tell how the trial ended."""
        number = trial.config[NUMBER]
        if number in self._starved:
            self._starved.remove(number)
            may_retry = self._packing.out_of_memory(number, trial.config[GPUS])
            if may_retry:
                reason, _ = self._failures.pop(number)
                logger.info("trial %d is tried again: %s", number, reason)
                self._try_again(self._study.record(number))
                return
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
