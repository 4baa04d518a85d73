"""Studies whose truth is known: accuracies of episodes, drawn from a model of trials and seeds.

The logit of a right answer is the sum of the configuration's level, the luck of its training seed,
the difficulty of the episode and how the episode suits the configuration; an episode's accuracy is
the share of its queries that come out right.

R studies, T configurations, S seeds, E episodes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUERIES = 20
EPISODE_SD, FIT_SD = 0.5, 0.15


@dataclass(frozen=True)
class Simulated:
    """Many studies of the same configurations.

    Attributes:
        searched: Scores of the search: one seed, shape (R, T, E).
        confirmed: Scores of fresh seeds on fresh episodes, shape (R, T, S, F).
        configurations: True accuracy over seeds and episodes, shape (T,).
        seeds: True accuracy of the trained weights over episodes, shapes (R, T) of the search
            and (R, T, S) of the fresh seeds.
        on_these_episodes: True accuracy over seeds on the fresh episodes, shape (R, T).
    """

    searched: NDArray[np.float64]
    confirmed: NDArray[np.float64]
    configurations: NDArray[np.float64]
    seeds: tuple[NDArray[np.float64], NDArray[np.float64]]
    on_these_episodes: NDArray[np.float64]


def simulate(
    levels: list[float],
    *,
    studies: int = 500,
    seeds: int = 5,
    episodes: int = 200,
    seed_sd: float = 0.08,
    seed: int = 0,
) -> Simulated:
    """Draw studies.

    Args:
        levels: Logit of each configuration, shape (T,).
        studies: R.
        seeds: S.
        episodes: E = F.
        seed_sd: How much the training seeds differ.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    level = np.asarray(levels)[:, None]  # (T, 1)
    shape = (studies, len(levels))
    luck = random.normal(0, seed_sd, (*shape, seeds + 1))
    between = EPISODE_SD**2 + FIT_SD**2

    def episode_logits() -> NDArray[np.float64]:
        difficulty = random.normal(0, EPISODE_SD, (studies, 1, episodes))
        return difficulty + random.normal(0, FIT_SD, (*shape, episodes))  # (R, T, E)

    def scores(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return random.binomial(QUERIES, _sigmoid(logits)) / QUERIES

    searched = scores(level + luck[..., :1] + episode_logits())
    fresh = level + episode_logits()  # (R, T, F)
    confirmed = scores(fresh[:, :, None, :] + luck[..., 1:, None])
    true = _mean_accuracy(level + luck, between)  # (R, T, 1 + S)
    return Simulated(
        searched=searched,
        confirmed=confirmed,
        configurations=_mean_accuracy(level[:, 0], seed_sd**2 + between),
        seeds=(true[..., 0], true[..., 1:]),
        on_these_episodes=_mean_accuracy(fresh, seed_sd**2).mean(axis=-1),
    )


def _mean_accuracy(logit: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """Mean of sigmoid(logit + N(0, variance)), by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    values = _sigmoid(logit[..., None] + np.sqrt(variance) * nodes)
    mean: NDArray[np.float64] = values @ (weights / weights.sum())
    return mean


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logit))
