"""The miner that draws negatives evenly over distance.

Letters: B anchors, R references, S positive slots of an anchor, n embedding dimension.
"""

import torch
from torch import Tensor

from .mined import Candidates, Triplets

SMALLEST_DISTANCE = 0.5
"""Nearer negatives weigh as if they were here: the paper's bound on the weight, against noise."""

LARGEST_DISTANCE = 1.4
"""Negatives from here on are not drawn: almost all pairs lie near sqrt(2), past the margin."""


def mine_distance_weighted(candidates: Candidates) -> Triplets:
    """Per positive pair one negative, drawn with probability ~ 1 / q(d_an).

    An anchor that has no negative nearer than 1.4 gives no triplet. The draw is with replacement,
    so an anchor may meet a negative in several of its slots.

    Source: Wu, Manmatha, Smola, Kraehenbuehl 2017: Sampling Matters in Deep Embedding Learning,
    arXiv 1706.07567, section 4.1. The floor of 0.5 and the cut at 1.4 are those of the authors'
    code; where it draws among all negatives when none is near enough, we draw none.
    """
    distances = candidates.distances
    is_drawable = candidates.is_negative & (distances < LARGEST_DISTANCE)  # (B, R)
    log_weights = log_density(distances, candidates.embedding_dim).neg_()
    log_weights.masked_fill_(~is_drawable, torch.finfo(distances.dtype).min)
    # Relative to the largest of the row: 1 / q spans e^370 at n = 512, and exp would overflow.
    weights = log_weights.sub_(log_weights.amax(1, True)).exp_().masked_fill_(~is_drawable, 0.0)
    # Inverse of the distribution function: torch.multinomial looks at its weights, a GPU stall.
    cumulative = weights.cumsum(1)
    uniform = candidates.uniform[:, : candidates.is_positive.shape[1]].to(distances.dtype)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    negative_index = drawn.clamp_max(distances.shape[1] - 1)  # (B, S); R where the row is empty
    has_drawn = weights.gather(1, negative_index) > 0.0
    is_candidate = candidates.is_positive & candidates.is_negative.any(1, True)
    return Triplets.chosen(
        candidates,
        candidates.positive_index,
        negative_index,
        candidates.is_positive & has_drawn,
        is_candidate,
    )


def log_density(distances: Tensor, embedding_dim: int) -> Tensor:
    """The log of q(d) ~ d^(n-2) (1 - d^2/4)^((n-3)/2), up to a constant.

    The density of the distance of two random points of the unit sphere in n dimensions. Distances
    outside [0.5, 1.4] are taken at the nearer end, which keeps both logarithms off zero.

    Args:
        distances: Any shape, Euclidean, of unit vectors.
        embedding_dim: n.

    Returns:
        The same shape.
    """
    bounded = distances.clamp(SMALLEST_DISTANCE, LARGEST_DISTANCE)
    near = (embedding_dim - 2) * bounded.log()
    return near + 0.5 * (embedding_dim - 3) * (1.0 - 0.25 * bounded.square()).log()
