"""What Ray Tune tries next: what the study hands out."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from ray.tune.search import Searcher

from ..cluster import Packing, shape_of
from ..spaces import Space, Value
from .families import Families
from .folder import StudyError
from .leaderboard import METRIC
from .ray_trial import (
    GPUS,
    LAST_STEP,
    NUMBER,
    RECIPE,
    RESUME_FROM,
    RETRY,
    THREADS,
    USES_GPU,
)
from .records import TrialRecord
from .samplers import SpaceExhausted
from .stop_request import StopRequest
from .study import Study

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
        stop: StopRequest,
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
            stop: Once it has a reason, no trial begins any more.
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
        self._stop = stop
        self._live: set[str] = set()
        self._retries: Counter[int] = Counter()
        records = study.records()
        self._num_asked = len(records)
        self._unfinished = deque(record for record in records if record.state == "running")

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Configuration of the next trial, or Ray Tune's word that there is none left."""
        if self._stop.reason is not None or len(self._live) >= self._room():
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
            except StudyError as error:
                self._stop.give_up(str(error))
                return None
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
            RESUME_FROM: self._checkpoints(record),
            LAST_STEP: record.last_report.step if record.last_report else 0,
        }

    def _given(self) -> Mapping[str, Value]:
        """What the next recipe has, whatever the sampler draws."""
        if self._families is None:
            return {}
        return self._families.next(self._study.records(), self._num_trials)

    def _checkpoints(self, record: TrialRecord) -> list[str]:
        """Of a trial that was started before; looking for those of a new one takes time."""
        return self._study.folder.checkpoint_addresses(record.number) if record.attempts else []

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
