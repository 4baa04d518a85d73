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
