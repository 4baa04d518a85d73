"""One-shot accuracy with its interval, and the baselines it is read against.

I images, C channels, S image side, D embedding, E episodes.
"""

import math
from dataclasses import dataclass

import numpy as np

from .episodes import score_episodes
from .prepared import PreparedData

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Score:
    """A mean over episodes with its 95 % interval, all in [0, 1]."""

    one_shot_accuracy: float
    low: float
    high: float


def mean_with_interval(scores: np.ndarray, *, lowest: float = 0.0) -> Score:
    """Mean accuracy over episodes and the normal 95 % interval of that mean.

    The interval is over episodes: it says how sure the score of *this* encoder is on classes such
    as these, not how much another training seed would change it.

    Args:
        scores: One accuracy an episode, shape (E,), E >= 2.
        lowest: That a mean can be: 0 of accuracies, -1 of what they gain.
    """
    mean = float(scores.mean())
    half = Z_95 * float(scores.std(ddof=1)) / math.sqrt(len(scores))
    return Score(mean, max(lowest, mean - half), min(1.0, mean + half))


def baselines(prepared: PreparedData) -> dict[str, Score]:
    """Scores that need no training, on the study's episodes.

    `pixel_1nn` is the nearest neighbour in raw pixels: an encoder that does not beat it by far has
    learned nothing.
    """
    pixels = prepared.validation_images.flatten(1)  # (I, C * S * S)
    return {"pixel_1nn": mean_with_interval(score_episodes(pixels, prepared.episodes))}
