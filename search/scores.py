"""The content of an export's `scores.json`: what was measured, on what, and how."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..spaces import Recipe
from ..trainables import Report
from .leaderboard import METRIC


def selection_scores(
    recipe: Recipe,
    reports: Sequence[Report],
    *,
    data: Mapping[str, Any],
    episodes: str,
    baselines: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """The score that selected a model, with everything that it can be checked against.

    Args:
        recipe: What was trained.
        reports: Its evaluations, at least one.
        data: Description of the data set, as in `study.yaml`.
        episodes: Hash of the frozen episodes.
        baselines: Scores on the same episodes that need no training.
        versions: Of Python and the packages.
        origin: Study, trial and number of trials that it was the best of.
    """
    last, evaluation = reports[-1], recipe.evaluation
    return {
        "metric": METRIC,
        "protocol": (
            f"{evaluation.way}-way {evaluation.shot}-shot, {evaluation.episodes} episodes within "
            f"{'a group' if evaluation.within == 'group' else 'all classes'}, validation classes"
        ),
        "selection": {
            "one_shot_accuracy": last.one_shot_accuracy,
            "interval": [last.interval_low, last.interval_high],
            "interval_over": "episodes",
        },
        **origin,
        "steps": last.step,
        "data_fingerprint": data["fingerprint"],
        "split_hash": data["split"],
        "episodes_hash": episodes,
        "baselines": dict(baselines),
        "versions": dict(versions),
        "curve": [
            {"step": report.step, "one_shot_accuracy": report.one_shot_accuracy}
            for report in reports
        ],
    }


def scores_of_ledger(entries: Sequence[Mapping[str, Any]], *, trial: int) -> dict[str, Any]:
    """What came after the selection: `confirmed`, `tested` and the lines of the ledger.

    Args:
        entries: Of the study's ledger, oldest first.
        trial: Number of the exported trial.

    Returns:
        The newest confirmation and the newest test of this trial, each None where there is none,
        and all lines of the study: how often its test data were opened is what they count.
    """

    def newest(kind: str) -> Mapping[str, Any] | None:
        own = [
            entry for entry in entries if entry.get("kind") == kind and entry.get("trial") == trial
        ]
        return own[-1] if own else None

    return {
        "confirmed": newest("confirm"),
        "tested": newest("test"),
        "ledger": [dict(entry) for entry in entries],
    }
