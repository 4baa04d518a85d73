"""Where trials stand: ranks that say only what is sure, and the luck of the best.

Trials scored on the same frozen episodes are compared episode by episode. Where a trial's
episodes were not kept (a study older than that), its interval must do, which tells less apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..trainables.report import Report

NORMAL_97_5 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution, of which reports' intervals are made."""


@dataclass(frozen=True)
class Standing:
    """Ranks of some scored trials.

    Attributes:
        ranks: Of each trial, in their order; see `statistics.shared_ranks`.
        optimism: By how much the best score is expected to be too high for having been chosen;
            None where fewer than two trials have their episodes.
        best_of: Trials that the optimism was estimated from.
    """

    ranks: tuple[int, ...]
    optimism: float | None
    best_of: int


def standing(reports: Sequence[Report], scores: Sequence[NDArray[np.float32] | None]) -> Standing:
    """Rank trials by their last reports.

    Args:
        reports: One a trial, with finite accuracies.
        scores: Accuracy of each episode at that report, shape (E,); None where not kept.
    """
    # scipy takes half a second to import; a search does without until it ends.
    from .statistics import expected_optimism, paired_p_values, shared_ranks
    from .statistics.paired import p_values

    if not reports:
        return Standing((), None, 0)
    means = np.array([report.one_shot_accuracy for report in reports])
    variances = np.array([_variance(report) for report in reports])
    # Independent as far as is known: the difference's variance is the sum.
    p = p_values(means, variances[:, None] + variances[None, :], np.inf)
    kept = {place: values for place, values in enumerate(scores) if values is not None}
    paired, optimism = list(kept), None
    if len(paired) > 1:
        table = np.stack(list(kept.values()))
        p[np.ix_(paired, paired)] = paired_p_values(table)
        optimism = expected_optimism(table)
    return Standing(tuple(map(int, shared_ranks(means, p))), optimism, len(paired))


def _variance(report: Report) -> float:
    """Of a report's mean, from its interval; an end may be cut off at 0 or 1."""
    mean = report.one_shot_accuracy
    half = max(report.interval_high - mean, mean - report.interval_low)
    return (half / NORMAL_97_5) ** 2
