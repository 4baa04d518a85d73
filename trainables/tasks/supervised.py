"""Training by classes: items of one class are near, those of others far."""

import torch
from torch import Tensor

from ...spaces import Recipe
from ..augment import augment
from ..encoders import Encoder
from ..prepared import PreparedData
from ..sampler import BatchSampler
from .by_objective import ByObjective


def build_supervised(recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> ByObjective:
    """P classes x K items a batch; judged by episodes of classes that training never sees.

    Raises:
        ValueError: If the data have too few classes for a batch.
    """

    def changed(items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        return augment(items, recipe.augment, quarter_turns, generator)

    sampler = BatchSampler(recipe.batch, prepared.data.train, recipe.seed)
    return ByObjective(recipe, prepared, sampler, changed)
