"""What a data set gives once decoded, and how it is named by its content."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .array_file import Allocate, in_memory, rows_at_once
from .image_set import ImageSet
from .preprocessing import Preprocessing
from .series_preprocessing import SeriesPreprocessing


@dataclass(frozen=True, eq=False)
class DecodedSet:
    """Every image of a data set, all classes, before any split.

    Attributes:
        image_set: The decoded images.
        preprocessing: What was done to each picture.
        notes: What was skipped or decided on the way, one line each, for the user to read.
    """

    image_set: ImageSet
    preprocessing: Preprocessing | SeriesPreprocessing
    notes: tuple[str, ...]


Progress = Callable[[int, int], None]
"""Told how many images of how many are decoded, from the thread that asked for them."""


def unseen(done: int, total: int) -> None:
    """Shows no progress."""


class Source(Protocol):
    """A data set that was found but is not decoded yet."""

    @property
    def key(self) -> str:
        """Names the state of the files, without reading their content."""

    def decode(self, allocate: Allocate = in_memory, progress: Progress = unseen) -> DecodedSet:
        """Read every image.

        Args:
            allocate: Where the images may go; a source that makes them otherwise ignores it.
            progress: Told how far it is.
        """


def fingerprint(image_set: ImageSet) -> str:
    """SHA-256 of pixels, labels and names: the same wherever the set lies."""
    names = [image_set.images.shape, image_set.classes, image_set.groups]
    digest = hashlib.sha256(json.dumps(names).encode())
    for array in (image_set.labels, image_set.group_of_class):
        digest.update(array.astype("<i8").tobytes())
    step = rows_at_once(image_set.images)  # a part at a time: they may be mapped from a file
    for start in range(0, len(image_set), step):
        digest.update(image_set.images[start : start + step].tobytes())
    return digest.hexdigest()
