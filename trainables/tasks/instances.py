"""Batches without labels: every item is a class of its own, its views are the samples.

P items, K views, B = P * K batch, I items of the training set.
"""

import numpy as np
import torch

from ...spaces import BatchConfig
from ..sampler import Batch


class InstanceSampler:
    """Draws P items and repeats each K times; it knows how many items there are, and no label.

    Attributes:
        num_classes: That labels name: the items.
    """

    def __init__(self, config: BatchConfig, num_items: int, seed: int) -> None:
        """Prepare the draw.

        Args:
            config: P and K.
            num_items: I.
            seed: Of the trial.

        Raises:
            ValueError: If there are fewer items than a batch needs.
        """
        if config.classes > num_items:
            raise ValueError(
                f"batch.classes must be <= {num_items}, the training items, got {config.classes}"
            )
        self.num_classes = num_items
        self._config = config
        self._seed = seed

    def draw(self, step: int) -> Batch:
        """The batch of a step: P different items, the views of each beside one another."""
        random = np.random.default_rng((self._seed, step))
        items = random.choice(self.num_classes, self._config.classes, replace=False)  # (P,)
        images = torch.from_numpy(np.repeat(items.astype(np.int64), self._config.samples))
        return Batch(images=images, quarter_turns=torch.zeros_like(images), labels=images)
