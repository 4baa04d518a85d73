"""Tasks that lower the recipe's own objective on the embeddings of a batch."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ...spaces import Recipe
from ..encoders import Encoder
from ..episodes import score_episodes
from ..losses import LossOutput, build_objective
from ..prepared import PreparedData
from ..sampler import Sampler
from .task import Network

Augment = Callable[[Tensor, Tensor, torch.Generator], Tensor]
Scores = Callable[[Tensor], Mapping[str, float]]


class ByObjective:
    """A sampler, an augmentation and the recipe's objective; judged by the frozen episodes."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: PreparedData,
        sampler: Sampler,
        augment: Augment,
        scores: Scores | None = None,
    ) -> None:
        """Build the objective.

        Args:
            recipe: The trial's.
            prepared: Its data.
            sampler: Draws the batches.
            augment: Items (B, C, H, W), quarter turns (B,) and a generator to what is embedded.
            scores: Validation embeddings to other numbers of a report.
        """
        self.sampler = sampler
        self.objective = build_objective(
            recipe.objective,
            batch=recipe.batch,
            embedding_dim=recipe.encoder.embedding_dim,
            num_classes=sampler.num_classes,
            seed=recipe.seed,
        )
        self._augment = augment
        self._scores = scores
        self._episodes = prepared.episodes

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """The items, changed at random."""
        return self._augment(items, quarter_turns, generator)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The recipe's objective on the embeddings."""
        output: LossOutput = self.objective(network.embeddings(inputs), labels, generator)
        return output

    def set_progress(self, share: float) -> None:
        """Move miner and margin along their schedule."""
        self.objective.set_progress(share)

    def collapse_value(self, point: Tensor) -> float:
        """See `Objective.collapse_value`."""
        return self.objective.collapse_value(point)

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """One-shot accuracy of each frozen episode."""
        return score_episodes(embeddings, self._episodes)

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """Those that were asked for."""
        return self._scores(embeddings) if self._scores else {}
