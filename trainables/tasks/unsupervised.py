"""Training without labels: views of one item are near, all other items far."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...spaces import Recipe, Unsupervised
from ..augment import augment
from ..embedding import to_float
from ..encoders import Encoder
from ..prepared import PreparedData
from .by_objective import ByObjective
from .instances import InstanceSampler
from .neighbors import leave_one_out_accuracy

NEIGHBORS = 5


def build_unsupervised(recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> ByObjective:
    """P items x K views a batch; judged by episodes of labelled validation classes, and by kNN.

    Training sees no label: the sampler is given the number of items, and nothing else is read.

    Raises:
        ValueError: If the data have too few items for a batch.
    """
    task, views = recipe.task, recipe.batch.samples
    assert isinstance(task, Unsupervised), "the registry goes by its name"
    labels = torch.from_numpy(prepared.data.validation.labels)

    def changed(items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        changed = augment(items, recipe.augment, quarter_turns, generator)
        if task.first_view == "augmented":
            return changed
        is_first = torch.arange(len(items), device=items.device) % views == 0  # (B,)
        return torch.where(is_first[:, None, None, None], to_float(items), changed)

    def scores(embeddings: Tensor) -> Mapping[str, float]:
        accuracy = leave_one_out_accuracy(embeddings, labels, neighbors=NEIGHBORS)
        return {"knn_accuracy": accuracy}

    sampler = InstanceSampler(recipe.batch, len(prepared.train_images), recipe.seed)
    return ByObjective(recipe, prepared, sampler, changed, scores)
