"""The data set `clouds`: overlapping clouds of vectors, as a frozen encoder might give them.

C classes, F values of a vector, I vectors.
"""

import numpy as np

from ...spaces import DataConfig
from .array_file import Allocate, in_memory
from .decoded import DecodedSet, Progress, unseen
from .image_set import ImageSet
from .series_preprocessing import SeriesPreprocessing

DEFAULT_LENGTH = 32
SIZES = (600, 200)
"""Vectors of each class: one is three times as frequent as the other."""
PARTS = 4
"""Each class is a mixture of so many normal distributions."""
REACH = 1.6
"""Standard deviation of the centres of the parts, in units of that of a part along an axis, over
the first `SIGNAL` axes: clouds that overlap in part."""
SIGNAL = 6
"""Axes in which the classes differ; the others are noise."""


class CloudSource:
    """Vectors that are drawn anew, the same on every machine."""

    def __init__(self, config: DataConfig) -> None:
        """Draw nothing yet.

        Args:
            config: Its length is F; its split's seed is that of the draw.
        """
        self._length = config.length or DEFAULT_LENGTH
        self._seed = config.split.seed

    @property
    def key(self) -> str:
        """Names the draw."""
        return f"clouds 1 {self._length} {self._seed}"

    def decode(self, allocate: Allocate = in_memory, progress: Progress = unseen) -> DecodedSet:
        """The vectors of two classes.

        Each class is a mixture of `PARTS` unit normal distributions, whose centres lie apart in
        the first `SIGNAL` axes alone.

        Args:
            allocate: Not used: vectors are small.
            progress: Told at the end.
        """
        random = np.random.default_rng(self._seed)
        rows = []
        for size in SIZES:
            centres = np.zeros((PARTS, self._length))
            centres[:, :SIGNAL] = random.normal(0.0, REACH, centres[:, :SIGNAL].shape)
            part = random.integers(0, PARTS, size)
            rows.append(centres[part] + random.normal(size=(size, self._length)))
        progress(sum(SIZES), sum(SIZES))
        names = tuple(f"cloud{number}" for number in range(len(SIZES)))
        return DecodedSet(
            ImageSet(
                images=np.concatenate(rows).astype(np.float32)[:, None, None, :],
                labels=np.repeat(np.arange(len(SIZES)), SIZES).astype(np.int64),
                classes=names,
                groups=("all",),
                group_of_class=np.zeros(len(SIZES), np.int64),
            ),
            SeriesPreprocessing(channels=1, length=self._length),
            (),
        )
