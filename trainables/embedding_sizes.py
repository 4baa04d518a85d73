"""How much of an embedding is needed: accuracy of its leading dimensions.

Rotated onto the principal axes of the training embeddings, the first k dimensions are the best k
that a linear map can keep, so one trial gives a curve of accuracy against size.

I images, D embedding, k leading dimensions.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from .episodes import Episodes, score_episodes
from .evaluation import mean_with_interval
from .network import Projection

SMALLEST = 8
"""Dimensions from which the curve starts; it doubles from there."""

MOST_IMAGES = 2048
"""Training images that the rotation is computed from, spread over the set."""


def leading_sizes(dim: int) -> list[int]:
    """8, 16, 32, ... below D."""
    sizes = []
    size = SMALLEST
    while size < dim:
        sizes.append(size)
        size *= 2
    return sizes


def some_rows(num_images: int) -> Tensor:
    """Which training images the rotation is computed from."""
    count = min(num_images, MOST_IMAGES)
    return torch.from_numpy(np.linspace(0, num_images - 1, count).astype(np.int64))


@torch.inference_mode()
def principal_axes(embeddings: Tensor) -> Tensor:
    """The rotation onto the principal axes of training embeddings.

    Args:
        embeddings: (I, D), as they are used (normalised or not).

    Returns:
        Orthonormal columns by falling variance, (D, D) float32 on the CPU; the largest value of a
        column is positive, so that the same embeddings give the same rotation.
    """
    points = embeddings.detach().cpu().double()
    centred = points - points.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # variances rise
    axes = vectors.flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    turned: Tensor = axes * torch.where(largest < 0, -1.0, 1.0)
    return turned.float().contiguous()


def leading(raw: Tensor, axes: Tensor, size: int, *, unit_norm: bool) -> Tensor:
    """The first k rotated dimensions, as an encoder of that size gives them.

    A linear map of the raw embedding and nothing else: an export of k dimensions is the encoder
    followed by a linear layer of weight `axes[:, :k].T`, without bias.

    Args:
        raw: (I, D), embeddings before or after normalisation: with `unit_norm` it is the same.
        axes: From `principal_axes`.
        size: k.
        unit_norm: Whether the encoder is used with embeddings of norm 1.

    Returns:
        (I, k).
    """
    kept = raw @ axes[:, :size].to(raw.device, raw.dtype)
    return normalize(kept, dim=1) if unit_norm else kept


def leading_projection(axes: Tensor, size: int) -> Projection:
    """The first k rotated dimensions as an export carries them: a rotation without a shift.

    Args:
        axes: From `principal_axes`.
        size: k.
    """
    return Projection(torch.zeros(len(axes)), axes[:, :size].T.contiguous())


def score_sizes(
    embeddings: Tensor, axes: Tensor, episodes: Episodes, *, unit_norm: bool
) -> Mapping[str, list[float]]:
    """One-shot accuracy of the leading 8, 16, 32, ... of more dimensions.

    Args:
        embeddings: Of validation images, (I, D).
        axes: From training embeddings.
        episodes: The frozen list.
        unit_norm: Whether the encoder is used with embeddings of norm 1.

    Returns:
        By size, as JSON keeps it: accuracy and the ends of its 95 % interval over episodes.
    """
    curve = {}
    for size in leading_sizes(embeddings.shape[1]):
        kept = leading(embeddings, axes, size, unit_norm=unit_norm)
        score = mean_with_interval(score_episodes(kept, episodes))
        curve[str(size)] = [score.one_shot_accuracy, score.low, score.high]
    return curve
