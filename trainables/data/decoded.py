"""What a data set gives once decoded, and how it is named by its content."""

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

from .image_set import ImageSet
from .preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class DecodedSet:
    """Every image of a data set, all classes, before any split.

    Attributes:
        image_set: The decoded images.
        preprocessing: What was done to each picture.
        notes: What was skipped or decided on the way, one line each, for the user to read.
    """

    image_set: ImageSet
    preprocessing: Preprocessing
    notes: tuple[str, ...]


class Source(Protocol):
    """A data set that was found but is not decoded yet."""

    @property
    def key(self) -> str:
        """Names the state of the files, without reading their content."""

    def decode(self) -> DecodedSet:
        """Read every image."""


def fingerprint(image_set: ImageSet) -> str:
    """SHA-256 of pixels, labels and names: the same wherever the set lies."""
    names = [image_set.images.shape, image_set.classes, image_set.groups]
    digest = hashlib.sha256(json.dumps(names).encode())
    for array in (image_set.labels, image_set.group_of_class):
        digest.update(array.astype("<i8").tobytes())
    for image in image_set.images:  # one at a time: the images may be mapped from a file
        digest.update(image.tobytes())
    return digest.hexdigest()
