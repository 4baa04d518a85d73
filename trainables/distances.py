"""Distances and similarities between all embeddings of a batch, safe where the formulas are not.

Letters: B batch, D embedding.

Every function works in float32 at least, also inside autocast: 8 bits of mantissa cannot tell a
distance of 0.01 from 0. float64 stays float64. Results are finite, with finite gradients, for
embeddings whose coordinates are below 1e17 in size; NaN and infinity in the input stay visible.
"""

import torch
from torch import Tensor

from ..spaces.compatibility import Distance

SMALLEST_NORM = 1e-12
"""A vector whose largest coordinate is below this has no direction; the value of F.normalize."""


def normalise(embeddings: Tensor) -> Tensor:
    """The embeddings divided by their Euclidean norm.

    A vector without a direction (see `SMALLEST_NORM`) gives zeros and a gradient of exactly zero,
    where ``F.normalize`` gives a gradient of up to 1e12.

    Args:
        embeddings: (B, D), any floating type.

    Returns:
        (B, D), each row of norm 1 or 0.
    """
    embeddings = _at_least_float32(embeddings)  # (B, D)
    # Divided by the largest coordinate first, so that no square leaves the range of float32.
    largest = embeddings.detach().abs().amax(dim=1, keepdim=True)  # (B, 1)
    has_no_direction = largest < SMALLEST_NORM
    scaled = embeddings / largest.masked_fill(has_no_direction, 1.0)
    scaled = scaled.masked_fill(has_no_direction, 0.0)
    norm_squared = scaled.square().sum(dim=1, keepdim=True)  # in [1, D], or 0
    return scaled * norm_squared.masked_fill(has_no_direction, 1.0).rsqrt()


def squared_euclidean_distances(embeddings: Tensor) -> Tensor:
    """The matrix of ||e_i - e_j||^2.

    Args:
        embeddings: (B, D), any floating type.

    Returns:
        (B, B), >= 0, with an exact 0 on the diagonal.
    """
    embeddings = _at_least_float32(embeddings)
    # Distances do not change when all points move. Around their mean, ||a||^2 + ||b||^2 - 2ab
    # loses no digits to a common offset: a batch near one point (a collapse) is still measured.
    centred = embeddings - embeddings.detach().mean(dim=0)  # (B, D)
    products = _inner_products(centred)  # (B, B)
    # Norms from the diagonal, not from a second sum: identical rows then cancel exactly.
    norms_squared = products.diagonal()  # (B,)
    squared = norms_squared[:, None] + norms_squared[None, :] - 2.0 * products
    return squared.clamp_min(0.0)


def euclidean_distances(embeddings: Tensor) -> Tensor:
    """The matrix of ||e_i - e_j||.

    At distance zero, where the square root has no derivative, the gradient is zero: the middle of
    its subgradients, the unit ball.

    Args:
        embeddings: (B, D), any floating type.

    Returns:
        (B, B), >= 0, with an exact 0 on the diagonal.
    """
    squared = squared_euclidean_distances(embeddings)
    is_zero = squared == 0.0
    return squared.masked_fill(is_zero, 1.0).sqrt().masked_fill(is_zero, 0.0)


def cosine_similarities(embeddings: Tensor) -> Tensor:
    """The matrix of cosines <u_i, u_j>, u the normalised embeddings.

    Args:
        embeddings: (B, D), any floating type.

    Returns:
        (B, B), in [-1, 1] up to rounding; 0 for a vector without a direction.
    """
    return _inner_products(normalise(embeddings))


def distance_matrix(embeddings: Tensor, distance: Distance, *, unit_norm: bool) -> Tensor:
    """The distances that a recipe names.

    Args:
        embeddings: (B, D), raw, any floating type.
        distance: `euclidean` or `squared_euclidean`.
        unit_norm: Whether the embeddings are normalised first.

    Returns:
        (B, B), >= 0.

    Raises:
        ValueError: If the distance has another name.
    """
    if unit_norm:
        embeddings = normalise(embeddings)
    if distance == "euclidean":
        return euclidean_distances(embeddings)
    if distance == "squared_euclidean":
        return squared_euclidean_distances(embeddings)
    raise ValueError(f"distance must be euclidean or squared_euclidean, got distance={distance!r}")


def _at_least_float32(embeddings: Tensor) -> Tensor:
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


def _inner_products(vectors: Tensor) -> Tensor:
    with torch.autocast(vectors.device.type, enabled=False):
        return vectors @ vectors.T
