"""A data card: what a person should know of a data set before a search, and pictures of it.

N images, C channels, S image side.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spaces import DataConfig
from .cache import decode_with_cache
from .decoded import Progress, unseen
from .folder import FolderSource
from .image_set import DataError, ImageSet
from .loading import DATASETS, default_cache_dir
from .near_duplicates import (
    Pair,
    across,
    between_classes,
    leaks,
    place_of,
    thumbnails,
    within_classes,
)
from .splits import Split, split_classes
from .survey import survey_files

SHOWN = 12
"""Images of a strip."""

EXAMPLES = 5
"""Pairs that are named of each kind."""


@dataclass(frozen=True, eq=False)
class Strip:
    """A row of pictures.

    Attributes:
        title: What they have in common.
        images: uint8, (N, C, S, S).
        captions: One an image.
    """

    title: str
    images: NDArray[np.uint8]
    captions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DataCard:
    """What `tripletune describe DATA` shows.

    Attributes:
        content: Plain data, as JSON prints it.
        strips: Pictures of training and validation images; none of the test side, which no one
            should know before the end.
    """

    content: dict[str, Any]
    strips: tuple[Strip, ...]


def make_card(
    config: DataConfig, cache_dir: Path | None = None, progress: Progress = unseen
) -> DataCard:
    """Look at a data set: files, classes, split, copies.

    Args:
        config: Which data, and how they would be divided.
        cache_dir: Where decoded sets are kept; the user's cache folder by default.
        progress: Told how many pictures are looked at.

    Raises:
        DataError: The data cannot be used at all, or are series.
    """
    source = DATASETS[config.name](config)
    files = asdict(survey_files(source, progress)) if isinstance(source, FolderSource) else None
    cached = decode_with_cache(source, config, cache_dir or default_cache_dir(), progress)
    whole = cached.decoded.image_set
    if whole.images.dtype != np.uint8:
        raise DataError(f"a data card shows images, got the series of {config.name}")
    split = split_classes(whole, config.split)
    train, validation = (whole.subset(names) for names in (split.train, split.validation))
    copies, seen = _copies(whole, split), whole.subset((*split.train, *split.validation))
    counts = whole.class_counts
    order = np.argsort(counts, kind="stable")
    content = {
        "data": config.path or config.name,
        "fingerprint": cached.fingerprint,
        "images": len(whole),
        "classes": whole.num_classes,
        "groups": len(whole.groups),
        "images_per_class": {
            "smallest": int(counts.min()),
            "median": float(np.median(counts)),
            "largest": int(counts.max()),
            "fewest": [[whole.classes[i], int(counts[i])] for i in order[:EXAMPLES]],
            "most": [[whole.classes[i], int(counts[i])] for i in order[::-1][:EXAMPLES]],
            "classes_by_count": {
                str(count): number for count, number in sorted(Counter(counts.tolist()).items())
            },
        },
        "files": files,
        "split": {
            "by": split.by,
            "hash": split.digest,
            "sides": {side: _side(whole, getattr(split, side)) for side in _SIDES},
        },
        "copies": copies,
        "notes": [*cached.decoded.notes, *leaks(train, validation)],
    }
    return DataCard(content, tuple(_strips(seen, train, validation)))


_SIDES = ("train", "validation", "test")


def _side(whole: ImageSet, names: Sequence[str]) -> dict[str, int]:
    chosen = np.isin(whole.classes, names)
    return {
        "groups": len(np.unique(whole.group_of_class[chosen])),
        "classes": int(chosen.sum()),
        "images": int(whole.class_counts[chosen].sum()),
    }


def _copies(whole: ImageSet, split: Split) -> dict[str, Any]:
    """How many images are nearly the same as others, test side included, and some by name."""
    some = thumbnails(whole.images)
    side_of = {name: side for side in _SIDES for name in getattr(split, side)}
    sides = np.array([side_of[name] for name in whole.classes])[whole.labels]
    between = between_classes(some, whole.labels)
    kinds = {
        "within_a_class": within_classes(some, whole.labels),
        "between_classes": between,
        "across_sides": [pair for pair in between if sides[pair.first] != sides[pair.second]],
    }
    exact = len(whole) - len({image.tobytes() for image in whole.images})
    return {
        "compared": len(some.index),
        "exact": exact,
        **{
            name: {"images": len(pairs), "examples": _named(whole, pairs)}
            for name, pairs in kinds.items()
        },
    }


def _named(whole: ImageSet, pairs: Sequence[Pair]) -> list[list[str]]:
    return [
        [place_of(whole, pair.first), place_of(whole, pair.second)] for pair in pairs[:EXAMPLES]
    ]


def _strips(seen: ImageSet, train: ImageSet, validation: ImageSet) -> list[Strip]:
    counts, starts = seen.class_counts, seen.class_starts
    spread = np.linspace(0, seen.num_classes - 1, min(SHOWN, seen.num_classes)).astype(np.int64)
    strips = [_strip("one image of some classes", seen, starts[spread], seen.classes)]
    for title, label in (
        ("the class with the fewest images", int(counts.argmin())),
        ("the class with the most images", int(counts.argmax())),
    ):
        own = np.arange(starts[label], starts[label + 1])
        chosen = own[np.linspace(0, len(own) - 1, min(SHOWN, len(own))).astype(np.int64)]
        strips.append(_strip(title, seen, chosen, seen.classes))
    values = seen.images.reshape(len(seen), -1)
    means = np.array([one.mean() for one in values])
    contrasts = np.array([one.std() for one in values])
    half = SHOWN // 2
    by_mean, by_contrast = (np.argsort(one, kind="stable") for one in (means, contrasts))
    ends = np.r_[by_mean[:half], by_mean[::-1][:half]]
    strips.append(_strip("the darkest and the brightest", seen, ends, seen.classes))
    strips.append(_strip("the flattest", seen, by_contrast[:SHOWN], seen.classes))
    some = thumbnails(seen.images)
    alike = between_classes(some, seen.labels, least=0.0)[:half]
    pairs = np.array([[pair.first, pair.second] for pair in alike]).reshape(-1)
    if len(pairs):
        title = "pairs of different classes that are most alike"
        strips.append(_strip(title, seen, pairs, seen.classes))
    own_copies = within_classes(some, seen.labels)[:half]
    if own_copies:
        pairs = np.array([[pair.first, pair.second] for pair in own_copies]).reshape(-1)
        strips.append(_strip("copies within a class", seen, pairs, seen.classes))
    copied = across(thumbnails(train.images), thumbnails(validation.images))[:half]
    if copied:
        images = [
            image
            for pair in copied
            for image in (train.images[pair.first], validation.images[pair.second])
        ]
        captions = [
            name
            for pair in copied
            for name in (place_of(train, pair.first), place_of(validation, pair.second))
        ]
        title = "copies across the sides: training, validation"
        strips.append(Strip(title, np.stack(images), tuple(captions)))
    return strips


def _strip(
    title: str, images: ImageSet, index: NDArray[np.int64], classes: Sequence[str]
) -> Strip:
    captions = tuple(classes[images.labels[one]] for one in index)
    return Strip(title, images.images[index], captions)
