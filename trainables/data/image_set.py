"""Labelled images or series of one size, and the error for data that cannot be used.

Legend: N images, C channels, H height, W width.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .array_file import Allocate, ArrayFile, in_memory


class DataError(ValueError):
    """The images cannot be used as they are; the message says which rule failed and the fix."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of equal size with their classes, sorted by class; every class has an image.

    Series are images of height 1 whose values are numbers instead of bytes.

    Attributes:
        images: (N, C, H, W) uint8, C 1 or 3 and H equal to W; or series, (N, C, 1, L) float32.
        labels: (N,) int64 in [0, num_classes), rising, no class left out.
        classes: Name of each class, no two alike.
        groups: Name of each group (alphabet, script, category), no two alike.
        group_of_class: (num_classes,) int64, index into `groups`; no group is empty.

    Raises:
        ValueError: An array has the wrong type or shape, or breaks one of the rules above.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    group_of_class: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse arrays that break the rules of the class."""
        images, labels, group_of_class = self.images, self.labels, self.group_of_class
        if images.dtype not in (np.uint8, np.float32) or images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (N, C, H, W), got {images.dtype} {images.shape}"
            )
        _, channels, height, width = images.shape
        if images.dtype == np.float32 and height != 1:
            raise ValueError(f"series must be of shape (N, C, 1, L), got {images.shape}")
        if images.dtype == np.uint8 and (channels not in (1, 3) or height != width):
            raise ValueError(
                f"images must have 1 or 3 channels and square sides, got shape {images.shape}"
            )
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise ValueError(
                f"labels must be int64 of shape ({len(images)},), got {labels.dtype} "
                f"{labels.shape}"
            )
        if not np.array_equal(np.unique(labels), np.arange(len(self.classes))):
            raise ValueError(
                f"labels must name each of the {len(self.classes)} classes at least once and "
                f"nothing else, got {len(np.unique(labels))} different ones"
            )
        if np.any(np.diff(labels) < 0):
            raise ValueError("labels must be sorted: the images of a class lie together")
        if group_of_class.dtype != np.int64 or group_of_class.shape != (len(self.classes),):
            raise ValueError(
                f"group_of_class must be int64 of shape ({len(self.classes)},), got "
                f"{group_of_class.dtype} {group_of_class.shape}"
            )
        if not np.array_equal(np.unique(group_of_class), np.arange(len(self.groups))):
            raise ValueError(
                f"group_of_class must name each of the {len(self.groups)} groups at least once "
                f"and nothing else, got {np.unique(group_of_class).tolist()}"
            )
        for argument, names in (("classes", self.classes), ("groups", self.groups)):
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"{argument} must have different names, got {twice!r} twice")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """Channels of an image: 1 grey, 3 red, green, blue."""
        return int(self.images.shape[1])

    @property
    def image_size(self) -> int:
        """Side of an image, pixels; 1 for series."""
        return int(self.images.shape[2])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image; (1, length) for series."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def class_starts(self) -> NDArray[np.int64]:
        """(num_classes + 1,) int64: images of class c are [class_starts[c], class_starts[c+1])."""
        counts = np.bincount(self.labels, minlength=self.num_classes)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(num_classes,) int64: images of each class."""
        return np.diff(self.class_starts)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: images that are mapped from a file go by its path."""
        file = ArrayFile.of(self.images)
        return dict(vars(self)) if file is None else {**vars(self), "images": file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` gave.

        Raises:
            FileNotFoundError: The file that the images are mapped from is not on this machine.
        """
        images = state["images"]
        if isinstance(images, ArrayFile):
            state = {**state, "images": images.open()}
        vars(self).update(state)

    def subset(self, classes: Collection[str], allocate: Allocate = in_memory) -> "ImageSet":
        """A copy that holds some classes only, in the order they have here, with new labels.

        Args:
            classes: Names of the classes to keep, at least one.
            allocate: Gives the array that the images are copied to.

        Returns:
            Their images, and the groups that still have a class.

        Raises:
            ValueError: `classes` is empty, or names one that is not here.
        """
        kept = self._numbers_of(classes)
        starts, counts = self.class_starts, self.class_counts
        _, channels, height, width = self.images.shape
        shape = (int(counts[kept].sum()), channels, height, width)
        is_series = self.images.dtype == np.float32
        images = np.zeros(shape, np.float32) if is_series else allocate(shape)
        place = 0
        for number in kept:
            images[place : place + counts[number]] = self.images[
                starts[number] : starts[number + 1]
            ]
            place += int(counts[number])
        return self.relabelled(classes, images)

    def items(self, numbers: NDArray[np.int64]) -> "ImageSet":
        """A copy that holds some items of every class.

        Args:
            numbers: Of the items, rising; each class has one.

        Raises:
            ValueError: A class has none.
        """
        return replace(self, images=np.array(self.images[numbers]), labels=self.labels[numbers])

    def relabelled(self, classes: Collection[str], images: NDArray[Any]) -> "ImageSet":
        """What `subset` gives, with images that were copied before.

        Raises:
            ValueError: `images` are not as many as the classes have, or as for `subset`.
        """
        kept = self._numbers_of(classes)
        kept_groups, group_of_class = np.unique(self.group_of_class[kept], return_inverse=True)
        return ImageSet(
            images=images,
            labels=np.repeat(np.arange(len(kept), dtype=np.int64), self.class_counts[kept]),
            classes=tuple(self.classes[c] for c in kept),
            groups=tuple(self.groups[g] for g in kept_groups),
            group_of_class=group_of_class.astype(np.int64),
        )

    def _numbers_of(self, classes: Collection[str]) -> list[int]:
        wanted = set(classes)
        unknown = sorted(wanted.difference(self.classes))
        if unknown:
            raise ValueError(f"classes must be among those of the set, got {unknown[0]!r}")
        if not wanted:
            raise ValueError("classes must name at least one class, got none")
        return [index for index, name in enumerate(self.classes) if name in wanted]
