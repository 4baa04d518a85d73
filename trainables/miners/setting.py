"""The miners by name, and the miner of a recipe bound to the shape of its batches.

Letters: B batch, S positive slots of an anchor.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ...spaces import BatchConfig, MinerName
from .distance_weighted import mine_distance_weighted
from .mined import Candidates, Pairs, Triplets, positive_slots
from .rules import mine_all, mine_batch_hard, mine_easy_positive_semi_hard, mine_semi_hard

Miner = Callable[[Candidates], Triplets]

MINERS: dict[MinerName, Miner] = {
    "none": mine_all,
    "all": mine_all,
    "semi_hard": mine_semi_hard,
    "batch_hard": mine_batch_hard,
    "easy_positive_semi_hard": mine_easy_positive_semi_hard,
    "distance_weighted": mine_distance_weighted,
}


@dataclass(frozen=True)
class Setting:
    """What a loss knows of the recipe around it.

    Attributes:
        miner: Name of the miner.
        batch: Shape of the batches.
        embedding_dim: Of the encoder.
    """

    miner: MinerName
    batch: BatchConfig
    embedding_dim: int

    @property
    def max_positives(self) -> int:
        """S, the most positives an anchor can have."""
        return self.batch.samples - 1

    def mine_triplets(
        self, distances: Tensor, labels: Tensor, uniform: Tensor, margin: float = 0.0
    ) -> Triplets:
        """The triplets of a batch that the loss sees.

        Args:
            distances: (B, B), live; the choice is made on their values.
            labels: (B,) int64, at most S + 1 of each class.
            uniform: (B, S), random numbers in [0, 1).
            margin: Of the loss, in the unit of the distances.
        """
        positive_index, is_positive = positive_slots(labels, self.max_positives)
        candidates = Candidates(
            distances=distances.detach(),
            positive_index=positive_index,
            is_positive=is_positive,
            is_negative=labels[:, None] != labels[None, :],
            uniform=uniform,
            margin=margin,
            embedding_dim=self.embedding_dim,
        )
        return MINERS[self.miner](candidates)

    def mine_pairs(
        self, distances: Tensor, labels: Tensor, uniform: Tensor, margin: float = 0.0
    ) -> Pairs:
        """The pairs of a batch that the loss sees; the arguments are those of `mine_triplets`.

        Without a rule these are all pairs, those of an anchor that is in no triplet too.
        """
        if self.miner in ("none", "all"):
            return Pairs.of_labels(labels)
        return self.mine_triplets(distances, labels, uniform, margin).to_pairs()
