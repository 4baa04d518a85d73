"""Which trials are confirmed: the best, and where asked the best of every family."""

from collections.abc import Iterator
from typing import Literal

from . import labels
from .leaderboard import Leaderboard
from .records import TrialRecord

Family = Literal["loss", "miner"]


def family_of(record: TrialRecord, per: Family) -> str:
    """Name of the trial's loss or miner."""
    objective = record.recipe.objective
    return objective.loss.name if per == "loss" else objective.miner.name


def finalists(board: Leaderboard, top: int, per: Family | None = None) -> list[TrialRecord]:
    """The first `top` trials of a board and, with `per`, the first of every family.

    Only trials that trained their whole budget; of equal recipes one.

    Args:
        board: Of the study.
        top: How many, >= 0.
        per: What makes a family.
    """
    ranked = list(_distinct(board))
    chosen = ranked[:top]
    if per is not None:
        families = {family_of(record, per) for record in chosen}
        for record in ranked[top:]:
            if family_of(record, per) not in families:
                families.add(family_of(record, per))
                chosen.append(record)
    return chosen


def _distinct(board: Leaderboard) -> Iterator[TrialRecord]:
    seen: set[str] = set()
    for row in board.rows:
        record = row.record
        is_whole = record.state == "complete" and labels.is_ranked(record)
        if is_whole and record.recipe.digest not in seen:
            seen.add(record.recipe.digest)
            yield record
