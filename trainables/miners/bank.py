"""An embedding bank: positives and negatives chosen among all training images.

Letters: N images of the bank, A anchors, D embedding, S other images of the largest class.
"""

import numpy as np
import torch
from torch import Tensor

from ...spaces import ObjectiveConfig
from ...spaces.facts import Distance
from ...spaces.miners import MinerName
from ..distances import distance_matrix, normalise
from .mined import Candidates, positive_slots
from .setting import MINERS

CHUNK = 2**24
"""Distances held at a time: 64 MiB of float32."""


class Bank:
    """The embeddings of all training images, as of the last refresh, and a miner over them.

    The choice is exact: every image of the bank is looked at. An anchor is never its own positive,
    since it is no slot of its own class. Memory is N x D for the bank and `CHUNK` distances.

    Attributes:
        embeddings: (N, D) float32, as the loss measures them; None before the first refresh.
        labels: (N,) int64.
    """

    def __init__(
        self,
        miner: MinerName,
        labels: Tensor,
        *,
        distance: Distance,
        unit_norm: bool,
    ) -> None:
        """An empty bank.

        Args:
            miner: One that takes a bank.
            labels: (N,) int64, on the device of the embeddings; each class has two at least.
            distance: Of the loss.
            unit_norm: Whether the loss normalises the embeddings.
        """
        self.embeddings: Tensor | None = None
        self._miner = MINERS[miner]
        self.labels = labels
        self._num_slots = int(labels.bincount().max()) - 1
        self._distance = distance
        self._unit_norm = unit_norm

    @torch.no_grad()
    def refresh(self, embeddings: Tensor) -> None:
        """Take the raw embeddings (N, D) of all images, normalised here and not at every step."""
        self.embeddings = normalise(embeddings) if self._unit_norm else embeddings

    @torch.no_grad()
    def choose(self, anchors: Tensor, uniform: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """A positive and a negative image for each anchor.

        Args:
            anchors: (A,) int64, images of the bank.
            uniform: (A, 2), random numbers in [0, 1).
            margin: Of the loss, at present; 0 where it has none.

        Returns:
            Both (A,) int64, images of the bank.

        Raises:
            ValueError: If the bank has not been filled.
        """
        if self.embeddings is None:
            raise ValueError("embeddings must be refreshed before the bank chooses, got none")
        rows = max(1, CHUNK // len(self.labels))
        parts = [
            self._choose(*part, margin)
            for part in zip(anchors.split(rows), uniform.split(rows), strict=True)
        ]
        positives, negatives = zip(*parts, strict=True)
        return torch.cat(positives), torch.cat(negatives)

    def _choose(self, anchors: Tensor, uniform: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        labels = self.labels[anchors]
        positive_index, is_positive = positive_slots(labels, self.labels, anchors, self._num_slots)
        bank = self.embeddings
        assert bank is not None
        triplets = self._miner(
            Candidates(
                distances=self._distances_from(anchors),
                positive_index=positive_index,
                is_positive=is_positive,
                is_negative=labels[:, None] != self.labels[None, :],
                uniform=uniform,
                margin=margin,
                embedding_dim=bank.shape[1],
                distances_from=self._distances_from,
            )
        )
        assert triplets.negative_index is not None
        return triplets.positive_index[:, 0], triplets.negative_index[:, 0]

    def _distances_from(self, images: Tensor) -> Tensor:
        bank = self.embeddings
        assert bank is not None
        return distance_matrix(bank[images], bank, self._distance, unit_norm=False)


def bank_of(config: ObjectiveConfig, labels: np.ndarray, device: torch.device) -> Bank | None:
    """The empty bank of an objective; None where its miner looks at batches.

    Args:
        config: The objective.
        labels: (N,) int64, of the training images.
        device: Of the embeddings.
    """
    if config.miner.scope != "bank":
        return None
    return Bank(
        config.miner.name,
        torch.from_numpy(labels).to(device),
        distance=getattr(config.loss, "distance", "euclidean"),
        unit_norm=config.unit_norm,
    )
