"""How far a search is: rungs reached, time left, the range of its curves."""

import math
from collections.abc import Iterable, Sequence

from .records import TrialRecord
from .rungs import rung_steps


def seconds_left(
    records: Sequence[TrialRecord], num_trials: int, slots: int | None
) -> float | None:
    """Seconds to the last trial, by what a trial took so far, on all slots at once.

    Trials that are still to come take the mean of those that are over; running ones what they lack
    of it. None until a trial is over, or where the slots are not known.
    """
    over = [record.seconds for record in records if record.state != "running"]
    running = [record.seconds for record in records if record.state == "running"]
    if not over or slots is None:
        return None
    mean = sum(over) / len(over)
    to_come = max(0, num_trials - len(records))
    return (to_come * mean + sum(max(0.0, mean - seconds) for seconds in running)) / slots


def rungs_reached(records: Iterable[TrialRecord]) -> str:
    """How many trials came to each rung: `50:20 150:8 300:5`; empty without early stopping."""
    counts: dict[int, int] = {}
    for record in records:
        budget = record.recipe.budget
        step = record.last_report.step if record.last_report else 0
        for rung in rung_steps(budget.steps, budget.report_every):
            counts[rung] = counts.get(rung, 0) + (step >= rung)
    if len(counts) < 2:
        return ""
    return " ".join(f"{rung}:{count}" for rung, count in sorted(counts.items()))


def accuracy_bounds(records: Iterable[TrialRecord]) -> tuple[float, float]:
    """Lowest and highest accuracy of all curves, so that they can be compared."""
    values = [
        report.one_shot_accuracy
        for record in records
        for report in record.reports
        if math.isfinite(report.one_shot_accuracy)
    ]
    return (min(values), max(values)) if values else (0.0, 1.0)
