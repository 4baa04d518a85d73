"""Differences of models that were scored on identical episodes, episode by episode.

An episode that is hard for one model is hard for the others: the difference on the same episodes
varies far less than either score.

T models, E episodes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .intervals import crossed_error, t_quantile


@dataclass(frozen=True)
class Difference:
    """How much better the first of two models is, with its 95 % interval and p-value.

    Attributes:
        mean: First minus second.
        low: Lower end.
        high: Upper end.
        p_value: Two-sided, of no difference; not corrected for other comparisons.
    """

    mean: float
    low: float
    high: float
    p_value: float


def paired_difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """The mean difference on identical episodes, by Student's paired t.

    Args:
        first: Accuracy of each episode, shape (E,), E >= 2.
        second: The same of the other model.

    Raises:
        ValueError: If they are not of equally many episodes.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        raise ValueError(
            f"second must be scored on the episodes of first, got {other.shape} and {one.shape}"
        )
    values = one - other
    mean = float(values.mean())
    half = t_quantile(len(values) - 1) * float(stats.sem(values))
    return Difference(mean, mean - half, mean + half, float(paired_p_values([one, other])[0, 1]))


def paired_p_values(scores: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-value of no difference for every pair of models, by Student's paired t.

    All pairs at once from the covariance: Var(x - y) = Var(x) + Var(y) - 2 Cov(x, y). Models
    with the same score on every episode have p = 1; with a difference that never varies, p = 0.

    Args:
        scores: Accuracy of each model on each episode, shape (T, E), E >= 2.

    Returns:
        Shape (T, T), symmetric, 1 on the diagonal.
    """
    table = np.asarray(scores, np.float64)
    num_models, num_episodes = table.shape
    means = table.mean(axis=1)
    covariance = np.cov(table).reshape(num_models, num_models)
    spread = np.diag(covariance)
    variance = spread[:, None] + spread[None, :] - 2 * covariance  # (T, T)
    # Rounding leaves a difference that never varies a variance of about 1e-16 of the scores'.
    variance[variance < 1e-13 * (spread[:, None] + spread[None, :])] = 0.0
    return p_values(means, variance / num_episodes, num_episodes - 1)


def p_values(
    means: NDArray[np.float64], variances: NDArray[np.float64], freedom: float
) -> NDArray[np.float64]:
    """Two-sided p-value of every pair, from the means and the variances of their differences.

    Args:
        means: Shape (T,).
        variances: Of the difference of two means, shape (T, T), >= 0.
        freedom: Degrees of freedom of the variances.
    """
    gaps = np.abs(means[:, None] - means[None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = gaps / np.sqrt(variances)
    t[np.isnan(t)] = 0.0  # 0 / 0: no difference that never varies
    return np.minimum(1.0, 2.0 * stats.t.sf(t, freedom))


def crossed_p_values(tables: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Two-sided p-value of no difference of configurations, over seeds and episodes.

    The seeds of two configurations have nothing in common, the episodes have. So the difference
    is tested three ways, and the least sure one counts: over both, as `over_both` makes its
    interval of the differences; over seeds alone, by Welch's t; over episodes alone, by the paired
    t of the means over seeds. Few seeds can be alike by luck, which the first would believe.

    Args:
        tables: Scores of each configuration, shape (S, E), on the same episodes. Of two with
            unequal S the first ones count; with a single seed nothing is sure: p = 1.

    Returns:
        Shape (T, T), symmetric, 1 on the diagonal.
    """
    arrays = [np.asarray(table, np.float64) for table in tables]
    p = np.ones((len(arrays), len(arrays)))
    for one, first in enumerate(arrays):
        for other, second in enumerate(arrays[:one]):
            num_seeds = min(len(first), len(second))
            if num_seeds > 1:
                one_way = _crossed_p_value(first[:num_seeds] - second[:num_seeds])
                p[one, other] = p[other, one] = max(one_way, _p_value_apart(first, second))
    return p


def _crossed_p_value(differences: NDArray[np.float64]) -> float:
    """Of no mean difference, over seeds and episodes, (S, E)."""
    error, freedom = crossed_error(differences)
    gap = abs(float(differences.mean()))
    t = gap / error if error > 0 else math.inf if gap > 0 else 0.0
    return min(1.0, 2.0 * float(stats.t.sf(t, freedom)))


def _p_value_apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The larger of those over seeds alone and over episodes alone."""
    one, other = first.mean(axis=1), second.mean(axis=1)
    errors = one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)
    total = sum(errors)
    gap = abs(float(one.mean() - other.mean()))
    if total > 0:
        freedom = total**2 / (errors[0] ** 2 / (len(one) - 1) + errors[1] ** 2 / (len(other) - 1))
        over_seeds = 2.0 * float(stats.t.sf(gap / math.sqrt(total), freedom))
    else:
        over_seeds = 0.0 if gap > 0 else 1.0
    means = [first.mean(axis=0), second.mean(axis=0)]
    return max(over_seeds, float(paired_p_values(means)[0, 1]))
