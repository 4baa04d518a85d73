"""Several objectives: what besides accuracy a search may weigh, and the front that it finds."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .labels import is_ranked
from .records import TrialRecord


@dataclass(frozen=True)
class Objective:
    """Something that a trial is judged by.

    Attributes:
        direction: Whether more of it is better.
        of_record: Its value for a trial with a report.
        of_trial: The same from Optuna's storage, for a complete trial.
    """

    direction: StudyDirection
    of_record: Callable[[TrialRecord], float]
    of_trial: Callable[[FrozenTrial], float]


def _last_report(trial: FrozenTrial) -> Mapping[str, float]:
    key = max(key for key in trial.user_attrs if key.startswith("report:"))
    report: Mapping[str, float] = trial.user_attrs[key]
    return report


OBJECTIVES: dict[str, Objective] = {
    "accuracy": Objective(
        StudyDirection.MAXIMIZE,
        lambda record: record.reports[-1].one_shot_accuracy,
        lambda trial: trial.values[0],
    ),
    "embedding_dim": Objective(
        StudyDirection.MINIMIZE,
        lambda record: record.recipe.encoder.embedding_dim,
        lambda trial: trial.user_attrs["recipe"]["encoder"]["embedding_dim"],
    ),
    "device_seconds": Objective(
        StudyDirection.MINIMIZE,
        lambda record: record.seconds,
        lambda trial: _last_report(trial)["seconds"],
    ),
}
"""What `--objectives` takes, as `options.OBJECTIVES`. The study itself is kept by accuracy: the
others are read off its trials."""


def told(trials: Sequence[FrozenTrial], names: Sequence[str]) -> list[FrozenTrial]:
    """The trials with the values of all objectives, as a sampler of several reads them."""
    return [_with_values(trial, names) for trial in trials]


def _with_values(trial: FrozenTrial, names: Sequence[str]) -> FrozenTrial:
    seen = copy(trial)
    seen.intermediate_values = {}  # of accuracy alone, which Optuna takes for a single objective
    if trial.state == TrialState.COMPLETE:
        seen.values = [OBJECTIVES[name].of_trial(trial) for name in names]
    return seen


def front(records: Sequence[TrialRecord], names: Sequence[str]) -> list[TrialRecord]:
    """The complete trials that no other one is at least as good as in everything, best first.

    Args:
        records: Of a study.
        names: Of the objectives.
    """
    whole = [one for one in records if one.state == "complete" and is_ranked(one)]
    signs = [
        1.0 if OBJECTIVES[name].direction == StudyDirection.MAXIMIZE else -1.0 for name in names
    ]
    points = [
        tuple(
            sign * OBJECTIVES[name].of_record(one) for sign, name in zip(signs, names, strict=True)
        )
        for one in whole
    ]
    kept = [
        one
        for one, point in zip(whole, points, strict=True)
        if not any(_dominates(other, point) for other in points)
    ]
    return sorted(kept, key=lambda one: -one.reports[-1].one_shot_accuracy)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    at_least = all(a >= b for a, b in zip(one, other, strict=True))
    return at_least and any(a > b for a, b in zip(one, other, strict=True))


def front_line(records: Sequence[TrialRecord], names: Sequence[str]) -> str:
    """The front in one line, for the leaderboard."""
    points = [
        f"trial {one.number} ({', '.join(f'{OBJECTIVES[n].of_record(one):.4g}' for n in names)})"
        for one in front(records, names)
    ]
    return f"front of {', '.join(names)}: {'; '.join(points) or 'no complete trial yet'}"
