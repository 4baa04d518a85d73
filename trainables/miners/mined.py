"""What a miner chooses among and what it gives back, as masks and indices of fixed shape.

Letters: B batch, S positive slots of an anchor, N negatives of a slot (B or 1).

A batch holds at most K items of each class, so an anchor has at most S = K - 1 positives. They are
kept in S slots with a validity mask; triplets are then (B, S, B) at most, not (B, B, B).
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Triplets:
    """The triplets a miner keeps.

    Attributes:
        positive_index: (B, S) int64, the positive of each slot of each anchor.
        negative_index: (B, S) int64, the one negative of each slot; None gives every slot every
            item of the batch.
        mask: (B, S, N) bool, the kept triplets; N = B where negative_index is None, else 1.
        num_candidates: () int64, how many the miner's rule was applied to: triplets, or slots
            where the rule keeps one negative of each. It has kept at most as many.
    """

    positive_index: Tensor
    negative_index: Tensor | None
    mask: Tensor
    num_candidates: Tensor

    def gather(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """The distances of the triplets, to be broadcast against each other.

        Args:
            distances: (B, B), live.

        Returns:
            d_ap (B, S, 1), and d_an (B, 1, B) or (B, S, 1).
        """
        positive = distances.gather(1, self.positive_index).unsqueeze(2)  # (B, S, 1)
        if self.negative_index is None:
            return positive, distances.unsqueeze(1)  # (B, 1, B)
        return positive, distances.gather(1, self.negative_index).unsqueeze(2)  # (B, S, 1)

    def to_pairs(self) -> "Pairs":
        """The pairs that these triplets are made of, each once however often it occurs."""
        is_kept = self.mask.any(dim=2)  # (B, S)
        num_items = self.mask.shape[0]
        if self.negative_index is None:
            negatives = self.mask.any(dim=1)  # (B, B)
        else:
            negatives = _scatter(self.negative_index, is_kept, num_items)
        return Pairs(_scatter(self.positive_index, is_kept, num_items), negatives)


@dataclass(frozen=True)
class Pairs:
    """The ordered pairs (anchor, other) that a loss sees.

    Attributes:
        positives: (B, B) bool, of one class; never an item with itself.
        negatives: (B, B) bool, of different classes.
    """

    positives: Tensor
    negatives: Tensor

    @classmethod
    def of_labels(cls, labels: Tensor) -> Self:
        """Every positive and every negative pair of a batch.

        Args:
            labels: (B,) int64.
        """
        is_same = labels[:, None] == labels[None, :]  # (B, B)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return cls(is_same & ~itself, ~is_same)


@dataclass(frozen=True)
class Candidates:
    """What a miner chooses among.

    Attributes:
        distances: (B, B), detached: no gradient flows through a choice.
        positive_index: (B, S) int64.
        is_positive: (B, S) bool, whether the slot holds a positive of the anchor.
        is_negative: (B, B) bool.
        uniform: (B, S), random numbers in [0, 1).
        margin: Of the loss, in the unit of the distances.
        embedding_dim: Of the embeddings.
    """

    distances: Tensor
    positive_index: Tensor
    is_positive: Tensor
    is_negative: Tensor
    uniform: Tensor
    margin: float
    embedding_dim: int

    @property
    def positive_distances(self) -> Tensor:
        """d_ap of each slot, (B, S); meaningless where the slot is empty."""
        return self.distances.gather(1, self.positive_index)


def positive_slots(labels: Tensor, num_slots: int) -> tuple[Tensor, Tensor]:
    """The other items of each item's class, in the order of the batch.

    Args:
        labels: (B,) int64, at most num_slots + 1 items of each class. Of a larger class the first
            items are taken: the shape is fixed, and counting would stall a GPU.
        num_slots: S.

    Returns:
        Their index (B, S) int64, and whether the slot is filled (B, S) bool. The index of an empty
        slot is legal and means nothing.
    """
    order = labels.argsort(stable=True)  # (B,) items, class by class
    place = order.argsort(stable=True)  # (B,) place of each item in that order
    by_class = labels[order]
    first = torch.searchsorted(by_class, labels)  # (B,) place of the first item of the class
    end = torch.searchsorted(by_class, labels, right=True)
    slot = torch.arange(num_slots, device=labels.device)  # (S,)
    is_past_itself = slot >= (place - first)[:, None]  # (B, S)
    target = first[:, None] + slot + is_past_itself
    return order[target.clamp_max(len(labels) - 1)], target < end[:, None]


def _scatter(index: Tensor, is_kept: Tensor, num_items: int) -> Tensor:
    counts = torch.zeros(len(index), num_items, dtype=torch.int32, device=index.device)
    return counts.scatter_add(1, index, is_kept.int()) > 0  # (B, B)
