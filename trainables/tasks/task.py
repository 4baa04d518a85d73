"""What differs between kinds of trials; everything else is the trial's.

B batch, C channels, H height, W width, F features, h and w sides of a map, D embedding, E units.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..embedding import to_float
from ..encoders import Encoder
from ..losses import LossOutput
from ..precision import Precision, autocast
from ..sampler import Sampler


@dataclass(frozen=True)
class Network:
    """The encoder as a training step runs it, in the trial's precision.

    Attributes:
        encoder: Whose weights are trained.
        forward: Inputs to raw embeddings: images, or the features of a frozen backbone.
        precision: Of the autocast.
        device: Of the weights.
    """

    encoder: Encoder
    forward: Callable[[Tensor], Tensor]
    precision: Precision
    device: torch.device

    def embeddings(self, inputs: Tensor) -> Tensor:
        """Raw embeddings (B, D) of what the trial feeds its encoder."""
        with autocast(self.precision, self.device):
            return self.forward(inputs)

    def maps_and_embeddings(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of features (B, F, h, w), and the raw embeddings (B, D) that come of them."""
        with autocast(self.precision, self.device):
            maps = self.encoder.feature_map(images)
            return maps, self.encoder.embed_map(maps)


class Task(Protocol):
    """One kind of trial: what a step sees and lowers, and what a report scores."""

    @property
    def sampler(self) -> Sampler:
        """Draws the batch of a step."""

    @property
    def objective(self) -> nn.Module:
        """What is learned beside the encoder; in the optimiser and in checkpoints."""

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """The encoder's input of a batch, changed at random.

        Args:
            items: As they are stored, (B, C, H, W).
            quarter_turns: (B,).
            generator: On the device of the items.
        """

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The loss of a batch; nothing in it waits for the device.

        Args:
            network: The encoder.
            inputs: Of `augment`, or features of a frozen backbone.
            labels: (B,) int64, as the sampler gave them.
            generator: On the device.
        """

    def set_progress(self, share: float) -> None:
        """Move what is scheduled to where it is after this share of the budget."""

    def collapse_value(self, point: Tensor) -> float:
        """The loss that a batch would have, were all its embeddings at this point (D,)."""

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """Scores whose mean ranks the trial, (E,): of episodes, or of items.

        Args:
            encoder: In evaluation mode.
            embeddings: Of the validation items, (I, D), normalised where the recipe says so.
        """

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """Other numbers of a report, by name."""


@torch.no_grad()
def feature_shape(encoder: Encoder, items: Tensor) -> tuple[int, int, int]:
    """F, h and w of the encoder's map.

    Args:
        encoder: Its statistics are left as they are.
        items: Of the data, (I, C, H, W).
    """
    is_training = encoder.training
    encoder.eval()
    maps = encoder.feature_map(to_float(items[:1].to(encoder.mean.device)))
    encoder.train(is_training)
    _, features, height, width = maps.shape
    return features, height, width
