"""What a loss compares: the items of a batch with each other, and with a memory where one is kept.

Letters: B anchors, R references, D embedding, S positive slots of an anchor.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

EMPTY = -1
"""Label of a reference that is no item: an empty place of a memory."""


@dataclass(frozen=True)
class Items:
    """The anchors of a batch and the references they are compared with.

    The batch itself comes first among the references: anchor i is reference i. Without a memory
    there are no others.

    Attributes:
        anchors: (B, D), raw embeddings.
        labels: (B,) int64, >= 0.
        references: (R, D); the very tensor `anchors` where there are no others.
        reference_labels: (R,) int64; `EMPTY` where the place holds no item.
        uniform: (B, S + 1) float32, random numbers in [0, 1): one a slot, and one an anchor.
    """

    anchors: Tensor
    labels: Tensor
    references: Tensor
    reference_labels: Tensor
    uniform: Tensor

    @classmethod
    def of_batch(cls, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> Self:
        """A batch that is compared with itself."""
        return cls(embeddings, labels, embeddings, labels, uniform)

    def with_memory(self, embeddings: Tensor, labels: Tensor) -> "Items":
        """The same anchors, compared with a memory too.

        Args:
            embeddings: (Q, D), detached.
            labels: (Q,) int64, `EMPTY` where the place holds no item.
        """
        return Items(
            self.anchors,
            self.labels,
            torch.cat([self.anchors, embeddings.to(self.anchors.dtype)]),
            torch.cat([self.labels, labels]),
            self.uniform,
        )

    @property
    def has_memory(self) -> bool:
        """Whether there are references besides the batch."""
        return len(self.reference_labels) > len(self.labels)

    def is_same_class(self) -> Tensor:
        """Whether anchor and reference are of one class, the anchor itself included, (B, R)."""
        return self.labels[:, None] == self.reference_labels[None, :]

    def is_negative(self) -> Tensor:
        """Whether the reference is an item of another class, (B, R)."""
        is_other = self.labels[:, None] != self.reference_labels[None, :]
        return is_other & (self.reference_labels != EMPTY) if self.has_memory else is_other

    def is_other(self) -> Tensor:
        """Whether the reference is an item and not the anchor itself, (B, R)."""
        is_item = torch.ones(
            len(self.labels),
            len(self.reference_labels),
            dtype=torch.bool,
            device=self.labels.device,
        ).fill_diagonal_(False)
        return is_item & (self.reference_labels != EMPTY) if self.has_memory else is_item
