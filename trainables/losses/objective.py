"""The losses by name, and the objective of a recipe: a loss with its miner and what is added.

Letters: B batch, D embedding, S positive slots of an anchor, Q places of the memory.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces import BatchConfig, ObjectiveConfig
from ..items import Items
from ..miners import Setting
from .angular import Angular
from .contrastive import PairLoss
from .margin import MarginLoss
from .memory import Memory
from .output import LossOutput
from .prototypical import Prototypical
from .proxy import ArcFace, CosFace, NormalizedSoftmax, ProxyAnchor, ProxyNCA
from .sigmoid import SigmoidPair
from .smooth_ap import SmoothAP
from .softmax import NCA, InfoNCE, NPair, NTXent, SoftNearestNeighbor, SupCon
from .triplet import SoftTriplet, Triplet, TripletSwap
from .variance import variance_hinge
from .weighted import Circle, LiftedStructure, MultiSimilarity, RankedList

LossBuilder = Callable[[Any, Setting], nn.Module]
"""Any: each loss takes its own record, the one whose `name` is its key in `LOSSES`."""

LOSSES: dict[str, LossBuilder] = {
    "contrastive": PairLoss,
    "squared_contrastive": PairLoss,
    "mixed_contrastive": PairLoss,
    "linear_contrastive": PairLoss,
    "two_margin_contrastive": PairLoss,
    "triplet": Triplet,
    "triplet_swap": TripletSwap,
    "soft_triplet": SoftTriplet,
    "margin": MarginLoss,
    "angular": Angular,
    "supcon": SupCon,
    "nt_xent": NTXent,
    "info_nce": InfoNCE,
    "n_pair": NPair,
    "soft_nearest_neighbor": SoftNearestNeighbor,
    "nca": NCA,
    "prototypical": Prototypical,
    "sigmoid_pair": SigmoidPair,
    "smooth_ap": SmoothAP,
    "multi_similarity": MultiSimilarity,
    "circle": Circle,
    "lifted_structure": LiftedStructure,
    "ranked_list": RankedList,
    "proxy_nca": ProxyNCA,
    "proxy_anchor": ProxyAnchor,
    "normalized_softmax": NormalizedSoftmax,
    "cosface": CosFace,
    "arcface": ArcFace,
}


class Objective(nn.Module):
    """A loss with its miner, as a module: what it learns is trained and saved like any weight.

    The call draws the random numbers and hands them to `loss`, a pure function of tensors that
    `torch.compile(fullgraph=True)` traces whole. What earlier batches leave behind (the memory) is
    a buffer.

    Attributes:
        loss: The module of the loss.
        memory: Embeddings of earlier batches; None where the recipe keeps none.
    """

    def __init__(self, config: ObjectiveConfig, loss: nn.Module, setting: Setting) -> None:
        super().__init__()
        self.loss = loss
        self.memory = Memory(config.memory.size, setting) if config.memory.size else None
        self.setting = setting
        self._config = config
        self._uses_memory = config.memory.start == 0.0

    def set_progress(self, share: float) -> None:
        """Move miner and margin to where the schedule wants them, and start the memory.

        Args:
            share: Of the budget that is done, in [0, 1].
        """
        config, schedule = self._config, self._config.schedule
        self.setting.miner = config.miner.name
        if schedule.second_miner is not None and share >= schedule.second_from:
            self.setting.miner = schedule.second_miner
        if schedule.third_miner is not None and share >= schedule.third_from:
            self.setting.miner = schedule.third_miner
        first = getattr(config.loss, "margin", 0.0)
        last = first if schedule.final_margin is None else schedule.final_margin
        self.setting.margin = first + (last - first) * share
        self._uses_memory = share >= config.memory.start

    def forward(
        self, embeddings: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The loss of a batch.

        Args:
            embeddings: (B, D), raw: the loss normalises them where its recipe says so. Any
                floating type; the loss is float32 at least.
            labels: (B,) int64, in [0, num_classes), at most K of each class, K the samples of the
                recipe's batch.
            generator: Of the draws, on the device of the embeddings. Every loss takes the same
                count of numbers from it, whether it needs them or not.

        Raises:
            ValueError: If the shapes do not fit the recipe.
        """
        self._check(embeddings, labels)
        uniform = torch.rand(
            len(labels),
            self.setting.max_positives + 1,
            generator=generator,
            device=embeddings.device,
        )
        items = Items.of_batch(embeddings, labels, uniform)
        if self.memory is not None:
            seen = self.memory.join(items) if self._uses_memory else items
            output: LossOutput = self.loss(seen)
            self.memory.push(embeddings, labels)
        else:
            output = self.loss(items)
        if self._config.variance.weight:
            added = variance_hinge(
                embeddings, self._config.variance.target, unit_norm=self._config.unit_norm
            )
            value = output.value + self._config.variance.weight * added
            output = LossOutput(value, output.active_share, output.num_active)
        return output

    @torch.no_grad()
    def collapse_value(self, point: Tensor) -> float:
        """The loss that a batch of the recipe's shape would have, were all its embeddings here.

        A hinge loss near it, with a low spread, is a collapse. It waits for the device.

        Args:
            point: (D,), such as the mean embedding.
        """
        batch = self.setting.batch
        classes = min(batch.classes, self.setting.num_classes)
        labels = torch.arange(classes, device=point.device).repeat_interleave(batch.samples)
        if self.setting.is_given:
            third = len(labels) // 3
            other = (labels[:third] + 1) % classes
            labels = torch.cat([labels[:third], labels[:third], other])
        uniform = torch.rand(
            len(labels),
            self.setting.max_positives + 1,
            generator=torch.Generator().manual_seed(0),
        ).to(point.device)
        embeddings = point.float().expand(len(labels), -1).contiguous()
        output: LossOutput = self.loss(Items.of_batch(embeddings, labels, uniform))
        return float(output.value)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
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


def build_objective(
    config: ObjectiveConfig,
    *,
    batch: BatchConfig,
    embedding_dim: int,
    num_classes: int,
    seed: int = 0,
) -> Objective:
    """The objective of a recipe, on the CPU.

    Args:
        config: Loss, miner and what is added, which fit together: the record has checked it.
        batch: Shape of the batches; `samples` bounds the positives of an anchor.
        embedding_dim: Of the encoder.
        num_classes: That labels may name: the training classes, quarter turns counted.
        seed: Of the proxies, where the loss has them.
    """
    setting = Setting(
        config.miner.name,
        batch,
        embedding_dim,
        num_classes=num_classes,
        margin=getattr(config.loss, "margin", 0.0),
        epsilon=config.miner.epsilon,
        is_given=config.miner.scope == "bank",
        memory_size=config.memory.size,
        seed=seed,
    )
    return Objective(config, LOSSES[config.loss.name](config.loss, setting), setting)
