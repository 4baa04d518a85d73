"""Batches of P classes x K samples, drawn anew for every step from the step's own seed.

P classes, K samples, B = P * K batch, C classes of the training set, G groups, M most images of a
class.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..spaces import BatchConfig
from .data import ImageSet

QUARTER_TURNS = 4


@dataclass(frozen=True)
class Batch:
    """Which images make a batch, class by class.

    Attributes:
        images: Index of each image in the training set, shape (B,).
        quarter_turns: How often each is turned by 90 degrees, 0..3, shape (B,).
        labels: Class of each; a turned class is a class of its own, shape (B,).
    """

    images: Tensor
    quarter_turns: Tensor
    labels: Tensor


class Sampler(Protocol):
    """Draws the batch of a step; the same step always gives the same batch.

    Attributes:
        num_classes: That labels may name.
    """

    num_classes: int

    def draw(self, step: int) -> Batch:
        """The batch of a step."""


class BatchSampler:
    """Draws the batch of a step; the same step always gives the same batch.

    With `draw="within_group"` the classes of a batch come from few groups. Where turned classes
    are classes of their own, a turned alphabet is a group of its own too: the negatives then look
    as alike as those of an episode.

    Attributes:
        num_classes: That labels name: the training classes, quarter turns counted.
    """

    def __init__(self, config: BatchConfig, data: ImageSet, seed: int) -> None:
        """Prepare the tables.

        Args:
            config: P, K and how classes are drawn.
            data: The training set, its images sorted by class.
            seed: Of the trial.

        Raises:
            ValueError: If the set holds fewer classes than a batch needs.
        """
        turns = QUARTER_TURNS if config.rotations_as_classes else 1
        num_classes = data.num_classes * turns
        if config.classes > num_classes:
            raise ValueError(
                f"batch.classes must be <= {num_classes}, the training classes"
                f"{' and their quarter turns' if turns > 1 else ''}, got {config.classes}"
            )
        self.num_classes = num_classes
        self._config = config
        self._seed = seed
        counts = np.bincount(data.labels, minlength=data.num_classes)
        self._counts = np.repeat(counts, turns)  # (C,)
        self._starts = np.repeat(np.cumsum(counts) - counts, turns)  # (C,)
        self._turns = np.tile(np.arange(turns), data.num_classes)  # (C,)
        self._group = np.repeat(data.group_of_class, turns) * turns + self._turns  # (C,)

    def draw(self, step: int) -> Batch:
        """The batch of a step.

        Classes differ; images of a class differ while it has K of them, and repeat evenly where
        it has fewer.
        """
        random = np.random.default_rng((self._seed, step))
        classes = self._draw_classes(random)  # (P,)
        counts = self._counts[classes]  # (P,)
        keys = random.random((len(classes), int(counts.max())))  # (P, M)
        keys[np.arange(keys.shape[1]) >= counts[:, None]] = np.inf
        order = np.argsort(keys, axis=1)  # (P, M), the images of the class first
        slots = np.arange(self._config.samples) % counts[:, None]  # (P, K)
        images = self._starts[classes][:, None] + np.take_along_axis(order, slots, axis=1)
        samples = self._config.samples
        return Batch(
            images=torch.from_numpy(images.reshape(-1)),
            quarter_turns=torch.from_numpy(np.repeat(self._turns[classes], samples)),
            labels=torch.from_numpy(np.repeat(classes, samples)),
        )

    def _draw_classes(self, random: np.random.Generator) -> np.ndarray:
        """Numbers of P different classes, shape (P,)."""
        config = self._config
        if config.draw == "any":
            return random.permutation(len(self._group))[: config.classes]
        groups = random.permutation(self._group.max() + 1)  # (G,)
        place = np.argsort(groups)[self._group]  # (C,), place of each class's group in the draw
        sizes = np.bincount(place)  # (G,), classes of the groups in drawn order
        enough = int(np.searchsorted(np.cumsum(sizes), config.classes)) + 1
        pool = np.flatnonzero(place < max(config.groups, enough))
        return random.permutation(pool)[: config.classes]
