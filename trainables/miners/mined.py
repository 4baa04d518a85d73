"""What a miner chooses among and what it gives back, as masks and indices of fixed shape.

Letters: B anchors, R references (the batch, then a memory), S positive slots of an anchor.

A batch holds at most K items of each class, so an anchor has at most S = K - 1 positives. They are
kept in S slots with a validity mask; triplets are then (B, S, R) at most, not (B, B, B).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ..items import Items

Rule = Callable[[Tensor], Tensor]
"""Of the gap d_an - d_ap of triplets: which of them a miner keeps."""


@dataclass(frozen=True)
class Triplets:
    """The triplets a miner keeps.

    Attributes:
        positive_index: (B, S) int64, the positive of each slot of each anchor.
        negative_index: (B, S) int64, the one negative of each slot; None gives every slot every
            negative of its anchor that passes the rule.
        is_kept: (B, S) bool, whether the slot holds a triplet, or triplets.
        is_negative: (B, R) bool.
        rule: Of the gap, where negative_index is None; None keeps every triplet.
        num_candidates: () int64, how many the miner's rule was applied to: triplets, or slots
            where the rule keeps one negative of each. It has kept at most as many.
    """

    positive_index: Tensor
    negative_index: Tensor | None
    is_kept: Tensor
    is_negative: Tensor
    rule: Rule | None
    num_candidates: Tensor

    @classmethod
    def chosen(
        cls,
        candidates: "Candidates",
        positive_index: Tensor,
        negative_index: Tensor,
        is_kept: Tensor,
        is_candidate: Tensor | None = None,
    ) -> Self:
        """One negative for each slot; the tensors are (B, S)."""
        is_candidate = is_kept if is_candidate is None else is_candidate
        return cls(
            positive_index,
            negative_index,
            is_kept,
            candidates.is_negative,
            None,
            is_candidate.sum(),
        )

    def to_pairs(self) -> "Pairs":
        """The pairs that these triplets are made of, each once however often it occurs.

        Raises:
            ValueError: If slots have several negatives: there the rule is one of triplets.
        """
        if self.negative_index is None:
            raise ValueError("pairs must come from a miner that chooses one negative a slot")
        counts = torch.zeros_like(self.is_negative, dtype=torch.int32)
        negatives = counts.scatter_add_(1, self.negative_index, self.is_kept.int()) > 0
        return Pairs(self.positive_index, self.is_kept, negatives)


@dataclass(frozen=True)
class Pairs:
    """The ordered pairs (anchor, reference) that a loss sees, each once.

    Attributes:
        positive_index: (B, S) int64, the positive of each slot; different ones.
        is_positive: (B, S) bool, whether the slot holds a pair.
        negatives: (B, R) bool, which references are negatives of the anchor.
    """

    positive_index: Tensor
    is_positive: Tensor
    negatives: Tensor

    @classmethod
    def of_items(cls, items: Items, num_slots: int) -> Self:
        """Every positive and every negative pair; of a class beyond the slots, the first items."""
        return cls(*positives_of(items, num_slots), items.is_negative())


@dataclass(frozen=True)
class Candidates:
    """What a miner chooses among.

    Attributes:
        distances: (B, R), detached: no gradient flows through a choice.
        positive_index: (B, S) int64.
        is_positive: (B, S) bool, whether the slot holds a positive.
        is_negative: (B, R) bool.
        uniform: (B, S + 1) or (B, 2), random numbers in [0, 1).
        margin: Of the loss, in the unit of the distances; 0 where it has none.
        embedding_dim: Of the embeddings.
        distances_from: Of references (B,): their distances to all references, (B, R).
    """

    distances: Tensor
    positive_index: Tensor
    is_positive: Tensor
    is_negative: Tensor
    uniform: Tensor
    margin: float
    embedding_dim: int
    distances_from: Callable[[Tensor], Tensor]

    @property
    def positive_distances(self) -> Tensor:
        """d_ap of each slot, (B, S); meaningless where the slot is empty."""
        return self.distances.gather(1, self.positive_index)

    @property
    def has_both(self) -> Tensor:
        """Whether the anchor has a positive and a negative, (B, 1)."""
        return self.is_positive.any(1, True) & self.is_negative.any(1, True)


SMALL = 128
"""References up to which comparing all labels is cheaper than sorting them."""


def slots_of(items: Items, num_slots: int) -> tuple[Tensor, Tensor]:
    """The positives of the anchors of a batch; see `positive_slots`."""
    itself = torch.arange(len(items.labels), device=items.labels.device)
    return positive_slots(items.labels, items.reference_labels, itself, num_slots)


def positives_of(items: Items, num_slots: int) -> tuple[Tensor, Tensor]:
    """The positives of the anchors of a batch, in as many slots as is cheapest.

    Of a small batch each reference is a slot, filled where it is a positive: good for whoever
    looks at all slots at once, and not for one after the other or for (B, S, R).

    Returns:
        As `positive_slots`, in the order of the references; empty slots may come between.
    """
    num_references = len(items.reference_labels)
    if num_references > SMALL:
        return slots_of(items, num_slots)
    every = torch.arange(num_references, device=items.labels.device)
    is_positive = items.is_same_class().fill_diagonal_(False)
    return every.expand(len(items.labels), -1), is_positive


def positive_slots(
    labels: Tensor, reference_labels: Tensor, itself: Tensor, num_slots: int
) -> tuple[Tensor, Tensor]:
    """The other items of each anchor's class, in the order of the references.

    Args:
        labels: (B,) int64.
        reference_labels: (R,) int64. Of a class with more than num_slots others the first are
            taken: the shape is fixed, and counting would stall a GPU.
        itself: (B,) int64, which reference the anchor is.
        num_slots: S.

    Returns:
        Their index (B, S) int64, and whether the slot is filled (B, S) bool. The index of an empty
        slot is legal and means nothing.
    """
    order = reference_labels.argsort(stable=True)  # (R,) references, class by class
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)  # (R,) of each in that order
    by_class = reference_labels[order]
    first = torch.searchsorted(by_class, labels)  # (B,) place of the first item of the class
    end = torch.searchsorted(by_class, labels, right=True)
    slot = torch.arange(num_slots, device=labels.device)  # (S,)
    own = (place[itself] - first)[:, None]  # (B, 1), below 0 where the anchor's place is empty
    is_past_itself = (slot >= own) & (own >= 0)  # (B, S)
    target = first[:, None] + slot + is_past_itself
    return order[target.clamp_max(len(order) - 1)], target < end[:, None]


def draw(is_candidate: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """One of the candidates of each row, all alike.

    Args:
        is_candidate: (B, N) bool.
        uniform: (B,), random numbers in [0, 1).

    Returns:
        Its index (B, 1) int64, and whether the row has a candidate (B, 1) bool. The index of a row
        without one is legal and means nothing.
    """
    counts = is_candidate.cumsum(1, dtype=torch.int32)  # (B, N)
    total = counts[:, -1:]  # (B, 1)
    # The product may round up to the count itself.
    number = (uniform[:, None] * total).int().clamp_max_(total - 1)
    index = torch.searchsorted(counts, number, right=True)
    return index.clamp_max_(is_candidate.shape[1] - 1), total > 0
