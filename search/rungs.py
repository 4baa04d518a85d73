"""The steps at which trials are compared: early stopping decides there."""

from typing import Final

REDUCTION_FACTOR: Final = 3
"""One trial in three goes on at each rung."""

NUM_CUTS: Final = 3
"""Rungs below the full budget, where reports are dense enough to have so many."""


def grace_steps(max_steps: int, report_every: int) -> int:
    """The first rung: a 27th of the budget, rounded up to a report."""
    least = -(-max_steps // REDUCTION_FACTOR**NUM_CUTS)
    return min(max_steps, -(-least // report_every) * report_every)


def rung_steps(max_steps: int, report_every: int) -> tuple[int, ...]:
    """Every rung, the full budget last: the first, and each `REDUCTION_FACTOR` times the last.

    Each is the step of a report.
    """
    steps, step = [], grace_steps(max_steps, report_every)
    while step < max_steps:
        steps.append(step)
        step *= REDUCTION_FACTOR
    return (*steps, max_steps)
