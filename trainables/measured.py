"""The embeddings of a batch as a loss measures them: all distances, or those of a few pairs.

Letters: B anchors, R references, D embedding, n references of an anchor.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ..spaces.facts import Distance
from .distances import at_least_float32, distance_matrix, inner_products, normalise
from .items import Items

WORTH = 32
"""A number of a matrix product costs about a 32nd of one that is gathered: where an anchor has
fewer chosen pairs than that share of the references, their gradient goes pair by pair."""


@dataclass(frozen=True)
class Measured:
    """Embeddings, normalised where the loss says so, and the distance between them.

    Attributes:
        left: (B, D), the anchors, float32 at least.
        right: (R, D), the references; the very tensor `left` where there are no others.
        distance: `cosine` only with norms of 1.
    """

    left: Tensor
    right: Tensor
    distance: Distance

    @classmethod
    def of(cls, items: Items, distance: Distance, *, unit_norm: bool) -> Self:
        """The items of a batch, measured."""
        prepare = normalise if unit_norm else at_least_float32
        left = prepare(items.anchors)
        return cls(left, prepare(items.references) if items.has_memory else left, distance)

    def matrix(self, num_chosen: int | None = None) -> Tensor:
        """All distances, (B, R).

        Args:
            num_chosen: How many of its references an anchor will be compared with, where a miner
                chooses them; few leave the matrix without a gradient, which `between` then takes
                pair by pair: two products of B x R x D less.
        """
        has_gradient = num_chosen is None or num_chosen * WORTH > len(self.right)
        with torch.set_grad_enabled(torch.is_grad_enabled() and has_gradient):
            if self.distance == "cosine":
                return 1.0 - inner_products(self.left, self.right)
            return distance_matrix(self.left, self.right, self.distance, unit_norm=False)

    def between(self, index: Tensor, matrix: Tensor) -> Tensor:
        """The distances of the anchors to the references at `index` (B, n), live, (B, n).

        Args:
            index: int64.
            matrix: What `matrix` gave.
        """
        if matrix.requires_grad or not self.left.requires_grad:
            return matrix.gather(1, index)
        return self._pairwise(self.left, index)

    def between_references(self, first: Tensor, second: Tensor) -> Tensor:
        """The distances of references to references, both (B, n), live, (B, n)."""
        points = self.right.index_select(0, first.flatten())
        return self._pairwise(points, second.flatten()[:, None]).view_as(first)

    def _pairwise(self, points: Tensor, index: Tensor) -> Tensor:
        # Not right[index], whose gradient is summed one number at a time.
        others = self.right.index_select(0, index.flatten()).view(*index.shape, -1)  # (B, n, D)
        if self.distance in ("cosine", "dot"):
            products = (others * points.unsqueeze(1)).sum(2)
            return 1.0 - products if self.distance == "cosine" else -products
        squared = (points.unsqueeze(1) - others).square().sum(2)  # (B, n)
        if self.distance == "squared_euclidean":
            return squared
        is_zero = squared == 0.0  # there the root has no derivative, and takes 0
        return squared.masked_fill(is_zero, 1.0).sqrt().masked_fill(is_zero, 0.0)
