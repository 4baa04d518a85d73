"""Means with intervals where values come in clusters: queries of a class are no separate draws."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import Z_95


def clustered_mean(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> dict[str, Any]:
    """Mean over values and its 95 % interval when whole clusters are drawn at random.

    s.e.^2 = C / (C - 1) * sum over clusters of (sum over their values of (x - mean))^2 / n^2

    Queries of one class share its difficulty, so an interval over queries alone would be too
    narrow for another set of classes.

    Args:
        values: (n,), n >= 1.
        clusters: (n,), the cluster of each value, such as its class.

    Returns:
        `mean` and `interval`, the latter None where there is a single cluster.

    Source: Liang, Zeger 1986: Longitudinal data analysis using generalized linear models (the
    cluster-robust variance of a mean).
    """
    mean = float(values.mean())
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=values - mean)
    count = len(sums)
    if count < 2:
        return {"mean": mean, "interval": None}
    error = math.sqrt(count / (count - 1) * float(np.square(sums).sum())) / len(values)
    return {"mean": mean, "interval": [mean - Z_95 * error, mean + Z_95 * error]}
