"""The median rule of Ray Tune, told what an earlier start of the study saw.

Golovin et al. 2017, Google Vizier: A Service for Black-Box Optimization, section 3.2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

from ..leaderboard import METRIC
from ..ray_trial import NUMBER, STEP
from ..records import TrialRecord

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


@dataclass(frozen=True)
class _Numbered:
    """A trial under its number in the study: Tune's own ids change with every start."""

    number: int

    @property
    def trial_id(self) -> str:
        return f"{self.number:05d}"


class ResumableMedian(MedianStoppingRule):
    """Stops a trial whose best score is worse than the median of the others' running means."""

    def __init__(self, *, grace_steps: int, past: Sequence[TrialRecord]) -> None:
        """Judge from `grace_steps` on, where at least three other trials have come as far.

        Args:
            grace_steps: No trial is stopped before.
            past: Trials of earlier starts, with their reports.
        """
        super().__init__(
            time_attr=STEP,
            metric=METRIC,
            mode="max",
            grace_period=grace_steps,
            min_samples_required=3,
        )
        for record in past:
            for report in record.reports:
                self._results[_numbered(record.number)].append(
                    {STEP: report.step, METRIC: report.one_shot_accuracy}
                )

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Nothing to prepare."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide by the trial's number instead of Tune's object; a step counts once."""
        if METRIC not in result:
            return TrialScheduler.CONTINUE
        numbered = _numbered(trial.config[NUMBER])
        told = self._results[numbered]
        if told and told[-1][STEP] >= result[STEP]:
            return TrialScheduler.CONTINUE  # a retry repeats what it had reported
        own = {STEP: result[STEP], METRIC: result[METRIC]}
        return super().on_trial_result(tune_controller, numbered, own)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result for the trials to come."""
        told = self._results[_numbered(trial.config[NUMBER])]
        if METRIC in result and not (told and told[-1][STEP] >= result[STEP]):
            told.append({STEP: result[STEP], METRIC: result[METRIC]})

    def _on_insufficient_samples(self, tune_controller: Any, trial: Any, time: float) -> str:
        """Go on, where Tune may pause the trial for another one."""
        return TrialScheduler.CONTINUE

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Nothing to forget of a trial that never ran."""


def _numbered(number: int) -> "Trial":
    return cast("Trial", _Numbered(number))
