"""Splits by item: every class on every side, for tasks that are judged on the classes they know.

N items, C classes.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...spaces import SplitConfig
from .image_set import DataError, ImageSet


@dataclass(frozen=True, eq=False)
class ItemSplit:
    """Which items of a set are on which side; no item is on two.

    Attributes:
        train: Their numbers in the set, rising.
        validation: Likewise.
        test: Likewise; empty where the share is 0.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """SHA-256 of the three lists, 64 hexadecimal digits."""
        sides = [side.tolist() for side in (self.train, self.validation, self.test)]
        return hashlib.sha256(json.dumps(sides).encode()).hexdigest()


def split_items(image_set: ImageSet, config: SplitConfig) -> ItemSplit:
    """Divide the items of each class, by the SHA-256 of "seed:class:number".

    Each side gets its share of each class, rounded, and at least one item.

    Raises:
        DataError: A class has fewer items than there are sides.
    """
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    least = 3 if config.test > 0 else 2
    starts, counts = image_set.class_starts, image_set.class_counts
    for name, start, count in zip(image_set.classes, starts[:-1], counts, strict=True):
        if count < least:
            raise DataError(
                f"data.split.by=item needs {least} items of each class, one a side, got {count} "
                f"in class {name}"
            )
        ranks = [_rank(config.seed, name, number) for number in range(count)]
        order = np.argsort(ranks).tolist()
        num_test = max(1, round(config.test * count)) if config.test > 0 else 0
        num_validation = max(1, round(config.validation * count))
        num_validation = min(num_validation, count - num_test - 1)
        ends = (num_test, num_test + num_validation)
        for side, part in (
            ("test", order[: ends[0]]),
            ("validation", order[ends[0] : ends[1]]),
            ("train", order[ends[1] :]),
        ):
            sides[side] += [int(start) + number for number in part]
    return ItemSplit(*(np.sort(np.array(side, np.int64)) for side in sides.values()))


def _rank(seed: int, name: str, number: int) -> str:
    return hashlib.sha256(f"{seed}:{name}:{number}".encode()).hexdigest()
