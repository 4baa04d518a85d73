"""The losses by name, and the objective of a recipe.

Letters: B batch, D embedding, S positive slots of an anchor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces import BatchConfig, ObjectiveConfig
from ..miners import Setting
from .contrastive import Contrastive
from .output import LossOutput
from .sigmoid import SigmoidPair
from .softmax import NTXent, SoftNearestNeighbor, SupCon
from .triplet import SoftTriplet, Triplet

LossBuilder = Callable[[Any, Setting], nn.Module]
"""Any: each loss takes its own record, the one whose `name` is its key in `LOSSES`."""

LOSSES: dict[str, LossBuilder] = {
    "contrastive": Contrastive,
    "triplet": Triplet,
    "soft_triplet": SoftTriplet,
    "supcon": SupCon,
    "nt_xent": NTXent,
    "soft_nearest_neighbor": SoftNearestNeighbor,
    "sigmoid_pair": SigmoidPair,
}


class Objective(nn.Module):
    """A loss with its miner, as a module: what it learns is trained and saved like any weight.

    The call draws the random numbers and hands them to `loss`, a pure function of tensors that
    `torch.compile(fullgraph=True)` traces whole.

    Attributes:
        loss: The module of the loss.
    """

    def __init__(self, loss: nn.Module, setting: Setting) -> None:
        super().__init__()
        self.loss = loss
        self.setting = setting

    def forward(
        self, embeddings: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The loss of a batch.

        Args:
            embeddings: (B, D), raw: the loss normalises them where its recipe says so. Any
                floating type; the loss is float32 at least.
            labels: (B,) int64, at most K of each class, K the samples of the recipe's batch.
            generator: Of the draws, on the device of the embeddings. Every loss takes the same
                count of numbers from it, whether it needs them or not.

        Raises:
            ValueError: If the shapes do not fit the recipe.
        """
        setting = self.setting
        num_items, dim = embeddings.shape
        if dim != setting.embedding_dim:
            raise ValueError(
                f"embeddings must have embedding_dim={setting.embedding_dim} columns, got {dim}"
            )
        if labels.shape != (num_items,):
            raise ValueError(
                f"labels must be of shape ({num_items},), one for each embedding, "
                f"got {tuple(labels.shape)}"
            )
        if num_items < setting.batch.samples:
            raise ValueError(
                f"embeddings must have at least batch.samples={setting.batch.samples} rows, "
                f"got {num_items}"
            )
        uniform = torch.rand(
            num_items, setting.max_positives, generator=generator, device=embeddings.device
        )
        output: LossOutput = self.loss(embeddings, labels, uniform)
        return output


def build_objective(
    config: ObjectiveConfig, *, batch: BatchConfig, embedding_dim: int
) -> Objective:
    """The objective of a recipe, on the CPU.

    Args:
        config: Loss and miner, which fit together: the record has checked it.
        batch: Shape of the batches; `samples` bounds the positives of an anchor.
        embedding_dim: Of the encoder.
    """
    setting = Setting(config.miner.name, batch, embedding_dim)
    return Objective(LOSSES[config.loss.name](config.loss, setting), setting)
