"""The miners by name, and what a loss knows of the recipe around it.

Letters: B anchors, R references, S positive slots of an anchor.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...spaces import MINERS as MINER_FACTS
from ...spaces import BatchConfig, MinerName
from ..distances import cosine_similarities
from ..items import Items
from .choices import (
    mine_batch_easy,
    mine_batch_hard,
    mine_easy_positive_hard,
    mine_easy_positive_semi_hard,
    mine_mixed,
    mine_random,
    mine_random_positive_hard,
    mine_random_positive_semi_hard,
)
from .distance_weighted import mine_distance_weighted
from .mined import Candidates, Pairs, Triplets, positives_of, slots_of
from .rules import mine_all, mine_easy, mine_hard, mine_multi_similarity, mine_semi_hard
from .semi_hard import (
    mine_semi_hard_nearest_or_farthest,
    mine_semi_hard_or_hardest,
    mine_semi_hard_random,
    mine_semi_hard_random_or_any,
)

Miner = Callable[[Candidates], Triplets]
PairMiner = Callable[[Tensor, Pairs, float], Pairs]

MINERS: dict[MinerName, Miner] = {
    "none": mine_all,
    "all": mine_all,
    "hard": mine_hard,
    "semi_hard": mine_semi_hard,
    "easy": mine_easy,
    "batch_hard": mine_batch_hard,
    "batch_easy": mine_batch_easy,
    "easy_positive_hard": mine_easy_positive_hard,
    "easy_positive_semi_hard": mine_easy_positive_semi_hard,
    "semi_hard_or_hardest": mine_semi_hard_or_hardest,
    "semi_hard_random": mine_semi_hard_random,
    "semi_hard_random_or_any": mine_semi_hard_random_or_any,
    "semi_hard_nearest_or_farthest": mine_semi_hard_nearest_or_farthest,
    "distance_weighted": mine_distance_weighted,
    "random": mine_random,
    "random_positive_hard": mine_random_positive_hard,
    "random_positive_semi_hard": mine_random_positive_semi_hard,
    "mixed": mine_mixed,
}

PAIR_MINERS: dict[MinerName, PairMiner] = {"multi_similarity": mine_multi_similarity}
"""Miners that keep pairs by their cosines; the other miners keep triplets by the distances."""


@dataclass
class Setting:
    """What a loss knows of the recipe around it; the objective moves miner and margin with time.

    Attributes:
        miner: Name of the present miner.
        batch: Shape of the batches.
        embedding_dim: Of the encoder.
        num_classes: That labels may name.
        margin: Of the loss, at present; 0 where it has none.
        epsilon: Of the miner `multi_similarity`.
        is_given: Whether batches are thirds that an embedding bank has chosen: anchors, their
            positives, their negatives.
        memory_size: Places of the memory; 0 where there is none.
        seed: Of what the loss draws when it is built.
    """

    miner: MinerName
    batch: BatchConfig
    embedding_dim: int
    num_classes: int = 2
    margin: float = 0.0
    epsilon: float = 0.1
    is_given: bool = False
    memory_size: int = 0
    seed: int = 0

    @property
    def max_positives(self) -> int:
        """S, the most positives an anchor can have.

        Each batch holds K items of a class at most, and a memory the items of Q / (P K) batches.
        """
        num_batches = math.ceil(self.memory_size / self.batch.size)
        return self.batch.samples * (1 + num_batches) - 1

    def mine_triplets(self, distances: Tensor, items: Items) -> Triplets:
        """The triplets that the loss sees.

        Args:
            distances: (B, R), live; the choice is made on their values.
            items: What they are between.
        """
        if self.is_given:
            return _thirds(items)
        distances = distances.detach()
        # A miner of one triplet an anchor looks at all slots at once, the others one by one.
        find = positives_of if MINER_FACTS[self.miner].kind == "anchor" else slots_of
        positive_index, is_positive = find(items, self.max_positives)
        candidates = Candidates(
            distances=distances,
            positive_index=positive_index,
            is_positive=is_positive,
            is_negative=items.is_negative(),
            uniform=items.uniform,
            margin=self.margin,
            embedding_dim=self.embedding_dim,
            distances_from=lambda index: distances[index],
        )
        return MINERS[self.miner](candidates)

    def mine_pairs(
        self, distances: Tensor, items: Items, similarities: Tensor | None = None
    ) -> Pairs:
        """The pairs that the loss sees.

        Without a rule these are all pairs, those of an anchor that is in no triplet too.

        Args:
            distances: (B, R), live; the choice is made on their values.
            items: What they are between.
            similarities: (B, R), the cosines, where the loss has them at hand.
        """
        is_by_pairs = self.miner in PAIR_MINERS
        if self.miner not in ("none", "all") and not is_by_pairs:
            return self.mine_triplets(distances, items).to_pairs()
        pairs = Pairs.of_items(items, self.max_positives)
        if not is_by_pairs:
            return pairs
        with torch.no_grad():
            if similarities is None:
                similarities = cosine_similarities(items.anchors, items.references)
            return PAIR_MINERS[self.miner](similarities.detach(), pairs, self.epsilon)

    @property
    def num_chosen(self) -> int | None:
        """How many references of an anchor the present miner chooses; None where it has a rule."""
        kind = MINER_FACTS[self.miner].kind
        if self.is_given or kind == "anchor":
            return 2
        return 2 * self.max_positives if kind == "positive" else None


def _thirds(items: Items) -> Triplets:
    """Row i of the first third with rows i + A and i + 2A, A a third of the batch."""
    num_items = len(items.labels)
    num_anchors = num_items // 3
    row = torch.arange(num_items, device=items.labels.device)
    positive, negative = (
        (row + shift * num_anchors).clamp_max(num_items - 1)[:, None] for shift in (1, 2)
    )
    labels = items.labels[:, None]
    is_kept = (
        (row < num_anchors)[:, None]
        & (labels == items.labels[positive])
        & (labels != items.labels[negative])
    )
    return Triplets(positive, negative, is_kept, items.is_negative(), None, is_kept.sum())
