"""A plain classifier of the training classes: the baseline that a metric loss must beat.

B batch, C classes, D embedding, E episodes, I images.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import Recipe
from ..encoders import Encoder
from ..losses import LossOutput
from ..prepared import PreparedData
from .by_objective import ByObjective
from .supervised import build_supervised
from .task import Network


class CrossEntropy(nn.Module):
    """A linear layer from raw embeddings to classes, and the cross-entropy of its softmax."""

    def __init__(self, embedding_dim: int, num_classes: int, seed: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(embedding_dim, num_classes)
        generator = torch.Generator().manual_seed(seed)
        bound = embedding_dim**-0.5  # as torch does, but from this generator
        with torch.no_grad():
            for parameter in self.classifier.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossOutput:
        """The mean over a batch, every item a term.

        Args:
            embeddings: (B, D), raw.
            labels: (B,) int64 in [0, C).
        """
        value = functional.cross_entropy(self.classifier(embeddings.float()), labels)
        count = torch.full((), len(labels), device=labels.device)
        return LossOutput(value, torch.ones_like(value.detach()), count)


class ClassifierTask:
    """Batches, augmentation and episodes of a supervised trial; cross-entropy is its loss.

    No recipe asks for it: it gives the leaderboard's baseline "cross-entropy features + cosine".

    Attributes:
        sampler: Draws the batches.
        objective: The classifier.
    """

    def __init__(self, supervised: ByObjective, objective: CrossEntropy) -> None:
        """Take the place of the supervised task's own loss."""
        self.sampler = supervised.sampler
        self.objective = objective
        self._supervised = supervised

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """The items, changed at random."""
        return self._supervised.augment(items, quarter_turns, generator)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """Cross-entropy over the training classes."""
        output: LossOutput = self.objective(network.embeddings(inputs), labels)
        return output

    def set_progress(self, share: float) -> None:
        """Nothing is scheduled."""

    @torch.no_grad()
    def collapse_value(self, point: Tensor) -> float:
        """The mean cross-entropy over all classes, were all embeddings at this point (D,)."""
        return -float(self.objective.classifier(point.float()).log_softmax(0).mean())

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """One-shot accuracy of each frozen episode."""
        return self._supervised.units(encoder, embeddings)

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """None."""
        return {}


def build_classifier(recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> ClassifierTask:
    """The classifier for a recipe whose own loss is not used.

    Raises:
        ValueError: If the data have too few classes for a batch.
    """
    supervised = build_supervised(recipe, prepared, encoder)
    num_classes = supervised.sampler.num_classes
    objective = CrossEntropy(recipe.encoder.embedding_dim, num_classes, recipe.seed)
    return ClassifierTask(supervised, objective)
