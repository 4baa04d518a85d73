"""Schedulers by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ..options import SchedulerName
from ..records import TrialRecord
from ..rungs import NUM_CUTS, grace_steps, rung_steps
from .asha import Explain, PairedASHA, ReadScores
from .median import ResumableMedian


@dataclass(frozen=True)
class Course:
    """What a scheduler is made for.

    Attributes:
        max_steps: Budget of a trial, in steps.
        report_every: Steps between two reports.
        past: Trials of earlier starts of the study.
        read_scores: Gives the scores of episodes that reports came with.
        explain: Told why a trial is stopped.
    """

    max_steps: int
    report_every: int
    past: Sequence[TrialRecord]
    read_scores: ReadScores
    explain: Explain

    @property
    def grace(self) -> int:
        """The first rung."""
        return grace_steps(self.max_steps, self.report_every)


def _asha(course: Course, num_brackets: int = 1) -> TrialScheduler:
    return PairedASHA(
        max_steps=course.max_steps,
        grace_steps=course.grace,
        past=course.past,
        read_scores=course.read_scores,
        explain=course.explain,
        num_brackets=num_brackets,
    )


def _hyperband(course: Course) -> TrialScheduler:
    num_rungs = len(rung_steps(course.max_steps, course.report_every))
    return _asha(course, num_brackets=min(NUM_CUTS, num_rungs))


def _median(course: Course) -> TrialScheduler:
    return ResumableMedian(grace_steps=course.grace, past=course.past)


def _none(course: Course) -> TrialScheduler:
    return FIFOScheduler()


SCHEDULERS: dict[SchedulerName, Callable[[Course], TrialScheduler]] = {
    "asha": _asha,
    "hyperband": _hyperband,
    "median": _median,
    "none": _none,
}
"""What `--scheduler` takes."""


def no_scores(number: int, step: int) -> Sequence[np.ndarray]:
    """Of studies that keep none: schedulers then compare accuracies."""
    return ()


def unsaid(number: int, step: int, verdict: str) -> None:
    """Nobody listens."""


def build_scheduler(
    name: SchedulerName,
    *,
    max_steps: int,
    report_every: int,
    past: Sequence[TrialRecord],
    read_scores: ReadScores = no_scores,
    explain: Explain = unsaid,
) -> TrialScheduler:
    """The scheduler of a search.

    Args:
        name: `asha` stops the worse two thirds at each rung; `hyperband` is the same with first
            rungs of different lengths; `median` stops what is under the median of the others;
            `none` trains every trial to its end.
        max_steps: Budget of a trial.
        report_every: Steps between two reports.
        past: Trials of earlier starts of the study.
        read_scores: Gives the scores of episodes that reports came with.
        explain: Told why a trial is stopped, where it is compared with another one.
    """
    return SCHEDULERS[name](Course(max_steps, report_every, past, read_scores, explain))
