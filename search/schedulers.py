"""Early stopping: Ray Tune's own schedulers, told what an earlier start of the study saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from .leaderboard import METRIC
from .options import SchedulerName
from .ray_trial import NUMBER, STEP
from .records import TrialRecord
from .rungs import REDUCTION_FACTOR, grace_steps

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


@dataclass(frozen=True)
class _Numbered:
    """A trial under its number in the study: Tune's own ids change with every start."""

    trial_id: str


class ResumableASHA(AsyncHyperBandScheduler):
    """Ray Tune's ASHA with rungs that outlive the process.

    Tune saves no scheduler state: after a restart its rungs are empty, and the first trials to
    reach them go on whatever they score (ray#30838). Here the rungs are filled from the study.

    Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934.
    """

    def __init__(self, *, max_steps: int, grace_steps: int, past: Sequence[TrialRecord]) -> None:
        """One bracket from `grace_steps` to `max_steps`.

        Args:
            max_steps: Budget of a trial.
            grace_steps: No trial is stopped before.
            past: Trials of earlier starts, with their reports.
        """
        super().__init__(
            time_attr=STEP,
            metric=METRIC,
            mode="max",
            max_t=max_steps,
            grace_period=grace_steps,
            reduction_factor=REDUCTION_FACTOR,
            # A trial that reported a step twice is not judged twice.
            stop_last_trials=False,
        )
        for record in past:
            for report in record.reports:
                self._judge(record.number, report.step, report.one_shot_accuracy)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide by the trial's number instead of Tune's id."""
        if METRIC not in result:
            return TrialScheduler.CONTINUE
        if result[STEP] >= self._max_t:
            return TrialScheduler.STOP
        return self._judge(trial.config[NUMBER], result[STEP], result[METRIC])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result for the trials to come."""
        if METRIC in result:
            self._judge(trial.config[NUMBER], result[STEP], result[METRIC])
        self._trial_info.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that never ran."""
        self._trial_info.pop(trial.trial_id, None)

    def _judge(self, number: int, step: int, accuracy: float) -> str:
        """Whether a trial goes on, by the rung that this step reaches; each rung once."""
        trial = cast("Trial", _Numbered(f"{number:05d}"))
        return self._brackets[0].on_result(trial, step, accuracy)


def build_scheduler(
    name: SchedulerName, *, max_steps: int, report_every: int, past: Sequence[TrialRecord]
) -> TrialScheduler:
    """The scheduler of a search.

    Args:
        name: `asha` stops the worse two thirds at each rung; `none` trains every trial to its end.
        max_steps: Budget of a trial.
        report_every: Steps between two reports.
        past: Trials of earlier starts of the study.
    """
    if name == "none":
        return FIFOScheduler()
    return ResumableASHA(
        max_steps=max_steps, grace_steps=grace_steps(max_steps, report_every), past=past
    )
