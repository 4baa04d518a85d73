"""Distances and similarities of embeddings, safe where the formulas are not.

Letters: A anchors, R references, D embedding.

Every function works in float32 at least, also inside autocast: 8 bits of mantissa cannot tell a
distance of 0.01 from 0. float64 stays float64. Results are finite, with finite gradients, for
embeddings whose coordinates are below 1e17 in size; NaN and infinity in the input stay visible.

The gradients of normalisation and Euclidean distance are written by hand: each needs one matrix
where the recorded operations keep eight.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..spaces.facts import Distance

SMALLEST_NORM = 1e-12
"""A vector shorter than this has no direction; the value of F.normalize."""


def normalise(embeddings: Tensor) -> Tensor:
    """The embeddings divided by their Euclidean norm.

    A vector without a direction (see `SMALLEST_NORM`) gives zeros and a gradient of exactly zero,
    where ``F.normalize`` gives a gradient of up to 1e12.

    Args:
        embeddings: (A, D), any floating type.

    Returns:
        (A, D), each row of norm 1 or 0.
    """
    unit: Tensor = _Normalise.apply(at_least_float32(embeddings))
    return unit


def squared_euclidean_distances(anchors: Tensor, references: Tensor) -> Tensor:
    """The matrix of ||a_i - r_j||^2.

    Args:
        anchors: (A, D), any floating type.
        references: (R, D); the same tensor, or another.

    Returns:
        (A, R), >= 0, with an exact 0 for equal rows of the same tensor.
    """
    squared: Tensor = _Euclidean.apply(*_pair(anchors, references), True)
    return squared


def euclidean_distances(anchors: Tensor, references: Tensor) -> Tensor:
    """The matrix of ||a_i - r_j||.

    At distance zero, where the square root has no derivative, the gradient is zero: the middle of
    its subgradients, the unit ball.

    Args:
        anchors: (A, D), any floating type.
        references: (R, D); the same tensor, or another.

    Returns:
        (A, R), >= 0, with an exact 0 for equal rows of the same tensor.
    """
    distances: Tensor = _Euclidean.apply(*_pair(anchors, references), False)
    return distances


def cosine_similarities(anchors: Tensor, references: Tensor) -> Tensor:
    """The matrix of cosines <u_i, v_j>, u and v the normalised embeddings.

    Args:
        anchors: (A, D), any floating type.
        references: (R, D); the same tensor, or another.

    Returns:
        (A, R), in [-1, 1] up to rounding; 0 for a vector without a direction.
    """
    unit = normalise(anchors)
    return inner_products(unit, unit if references is anchors else normalise(references))


def inner_products(anchors: Tensor, references: Tensor) -> Tensor:
    """The matrix of <a_i, r_j>, (A, R); a similarity that grows with the norms."""
    products: Tensor = _InnerProducts.apply(*_pair(anchors, references))
    return products


def distance_matrix(
    anchors: Tensor, references: Tensor, distance: Distance, *, unit_norm: bool
) -> Tensor:
    """The distances that a recipe names.

    Args:
        anchors: (A, D), raw, any floating type.
        references: (R, D); the same tensor, or another.
        distance: `euclidean`, `squared_euclidean`, `cosine` (1 - s, in [0, 2]) or `dot` (the
            negative inner product, which may be below 0).
        unit_norm: Whether the embeddings are normalised first.

    Returns:
        (A, R).

    Raises:
        ValueError: If the distance has another name.
    """
    if distance == "cosine":
        return 1.0 - cosine_similarities(anchors, references)
    if unit_norm:
        unit = normalise(anchors)
        anchors, references = unit, unit if references is anchors else normalise(references)
    if distance == "euclidean":
        return euclidean_distances(anchors, references)
    if distance == "squared_euclidean":
        return squared_euclidean_distances(anchors, references)
    if distance == "dot":
        return -inner_products(anchors, references)
    raise ValueError(
        f"distance must be euclidean, squared_euclidean, cosine or dot, got distance={distance!r}"
    )


def at_least_float32(embeddings: Tensor) -> Tensor:
    """The embeddings in float32, or in float64 where they are that."""
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


def _pair(anchors: Tensor, references: Tensor) -> tuple[Tensor, Tensor | None]:
    """Both in float32 at least; None for references that are the anchors themselves."""
    left = at_least_float32(anchors)
    return left, None if references is anchors else at_least_float32(references)


def _full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Autocast switched off; nothing where it is off already, since switching takes its time."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


class _Normalise(torch.autograd.Function):
    """u = e / |e|; du = (g - u <u, g>) / |e|."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)  # (A, 1)
        inverse = norm.reciprocal().masked_fill_(norm < SMALLEST_NORM, 0.0)
        unit: Tensor = embeddings * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        unit, inverse = ctx.saved_tensors
        along = (gradient * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(gradient, unit, along, value=-1.0).mul_(inverse)


class _InnerProducts(torch.autograd.Function):
    """a r^T; of a matrix with itself, the two halves of the gradient in one product."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor | None) -> Tensor:
        ctx.save_for_backward(*((left,) if right is None else (left, right)))
        with _full_precision(left.device):
            products: Tensor = left @ (left if right is None else right).T
            return products

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, *rest = ctx.saved_tensors
        with _full_precision(gradient.device):
            if not rest:
                return (gradient + gradient.T) @ left, None
            (right,) = rest
            to_left = gradient @ right if ctx.needs_input_grad[0] else None
            to_right = gradient.T @ left if ctx.needs_input_grad[1] else None
            return to_left, to_right


class _Euclidean(torch.autograd.Function):
    """d = |a - r| or its square; of G = dL/d(d^2) / 2, da = rowsum(G) a - G r."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor | None, is_squared: bool) -> Tensor:
        # Distances do not change when all points move. Around their mean, |a|^2 + |r|^2 - 2 a r
        # loses no digits to a common offset: a batch near one point (a collapse) stays measured.
        centre = left.mean(dim=0)
        left = left - centre  # (A, D)
        with _full_precision(left.device):
            if right is None:
                distances = left @ left.T
                # Norms from the diagonal, not from a second sum: identical rows then cancel.
                norms_left = norms_right = distances.diagonal().clone()
            else:
                right = right - centre
                distances = left @ right.T  # (A, R)
                norms_left, norms_right = left.square().sum(1), right.square().sum(1)
        distances.mul_(-2.0).add_(norms_left[:, None]).add_(norms_right).clamp_min_(0.0)
        if not is_squared:
            distances.sqrt_()
        ctx.is_squared = is_squared
        ctx.is_same = right is None
        saved = [left] if right is None else [left, right]
        ctx.save_for_backward(*saved, *([] if is_squared else [distances]))
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        saved = list(ctx.saved_tensors)
        if ctx.is_squared:
            weights = gradient * 2.0
        else:
            distances = saved.pop()
            weights = (gradient / distances).masked_fill_(distances == 0.0, 0.0)
        with _full_precision(gradient.device):
            if ctx.is_same:
                (left,) = saved
                weights = weights + weights.T
                return _pull(weights, weights.sum(1), left, left), None, None
            left, right = saved
            to_left = to_right = None
            if ctx.needs_input_grad[0]:
                to_left = _pull(weights, weights.sum(1), left, right)
            if ctx.needs_input_grad[1]:
                to_right = _pull(weights.T, weights.sum(0), right, left)
            return to_left, to_right, None


def _pull(weights: Tensor, sums: Tensor, points: Tensor, others: Tensor) -> Tensor:
    """sum_j w_ij (p_i - o_j) for each point, given the sums of w over j."""
    return torch.addmm(points * sums[:, None], weights, others, alpha=-1.0)
