"""95 % intervals of a mean accuracy: over episodes, over training seeds, over both.

They answer different questions. Over episodes: how sure is the score of *these trained weights*?
Over seeds: how sure is the score of *this configuration* on *these episodes*, whatever seed it is
trained with? Over both: how sure is the configuration's score on such episodes? The +- of most
papers is the first alone.

S seeds, E episodes.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95

Over = Literal["episodes", "seeds", "seeds and episodes"]


@dataclass(frozen=True)
class Interval:
    """A mean accuracy and its 95 % interval, cut off at 0 and 1.

    Attributes:
        mean: Over everything that was scored.
        low: Lower end.
        high: Upper end.
        over: What was drawn at random: see the module.
    """

    mean: float
    low: float
    high: float
    over: Over

    def to_json(self) -> list[float] | None:
        """Both ends; None where there is no interval, of a single seed."""
        ends = [self.low, self.high]
        return ends if all(map(math.isfinite, ends)) else None


def over_episodes(scores: ArrayLike) -> Interval:
    """Interval of the mean of trained weights over episodes like these; of seeds, their average.

    mean +- t_{E-1} s / sqrt(E), Student's t.

    Args:
        scores: Accuracies on the same episodes, shape (E,) or (S, E), E >= 2.
    """
    values = np.atleast_2d(np.asarray(scores, np.float64)).mean(axis=0)  # (E,)
    return _t_interval(values, "episodes")


def over_seeds(scores: ArrayLike) -> Interval:
    """Interval of the mean of a configuration over training seeds, on these episodes.

    mean +- t_{S-1} s / sqrt(S) over the mean accuracies of the seeds, Student's t. Of one seed
    the ends are not finite: nothing is known of another.

    Args:
        scores: Shape (S, E).
    """
    return _t_interval(np.asarray(scores, np.float64).mean(axis=1), "seeds")


def over_both(scores: ArrayLike) -> Interval:
    """Interval of the mean of a configuration over seeds and over episodes like these.

    All seeds are scored on the same episodes, so seeds and episodes cross. With the mean squares
    of the two-way table, MS_S of seeds, MS_E of episodes and MS_R of what is left,

        Var(mean) = (MS_S + max(MS_E - MS_R, 0)) / (S E)
        df        = (MS_S + max(MS_E - MS_R, 0))^2 / (MS_S^2 / (S - 1))

    Source: Hillis 2007, A comparison of denominator degrees of freedom methods for multiple
    observer ROC analysis, Statistics in Medicine 26, equations for a single modality. We deviate
    in one place: the interval is never narrower than the one over episodes or over seeds alone,
    which few seeds, by luck alike or by luck apart, would make it.

    Args:
        scores: Shape (S, E), E >= 2. Of one seed the ends are not finite.
    """
    table = np.asarray(scores, np.float64)
    mean = float(table.mean())
    if len(table) < 2:
        return Interval(mean, -math.inf, math.inf, "seeds and episodes")
    error, freedom = crossed_error(table)
    half = t_quantile(freedom) * error
    half = max(half, _half_width(table.mean(axis=0)), _half_width(table.mean(axis=1)))
    return _cut(mean, half, "seeds and episodes")


def crossed_error(table: NDArray[np.float64]) -> tuple[float, float]:
    """Standard error of the mean over seeds and episodes, and its degrees of freedom.

    Args:
        table: Shape (S, E), both >= 2; see `over_both`.
    """
    num_seeds, num_episodes = table.shape
    mean = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns[None, :] + mean
    seeds = num_episodes * float(rows.var(ddof=1))
    episodes = num_seeds * float(columns.var(ddof=1))
    residual = float(np.square(rest).sum()) / ((num_seeds - 1) * (num_episodes - 1))
    total = seeds + max(episodes - residual, 0.0)
    freedom = (num_seeds - 1) * (total / seeds) ** 2 if seeds > 0 else math.inf
    return math.sqrt(total / table.size), freedom


def _t_interval(values: NDArray[np.float64], over: Over) -> Interval:
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Interval(mean, -math.inf, math.inf, over)
    return _cut(mean, _half_width(values), over)


def _half_width(values: NDArray[np.float64]) -> float:
    return t_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def t_quantile(freedom: float) -> float:
    """97.5 % quantile of Student's t; of the normal distribution for endless freedom."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _cut(mean: float, half: float, over: Over) -> Interval:
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), over)
