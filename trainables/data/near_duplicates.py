"""Images that are nearly the same: copies across the sides of a split, shots of one scene.

N images, B images of a chunk, V values of a thumbnail.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .image_set import ImageSet

SIDE = 16
"""Of the thumbnails that are compared, pixels."""

LEAST_CORRELATION = 0.99
"""Of two thumbnails from which the images count as near-duplicates. Copies that were scaled,
saved again as JPEG or made slightly brighter stay above it; other drawings of a character or other
photographs of an object stay below."""

LEAST_DEVIATION = 2.0
"""Standard deviation of a thumbnail, grey levels: an image of one colour has no pattern to
compare, and is a near-duplicate of nothing."""

MOST_IMAGES = 20_000
"""Of a side that are compared; of more, these are spread over the set."""

LEAST_SHARE = 0.001
"""Of the validation images with a copy among the training images from which it is told: among
thousands of simple drawings, two of different classes may be alike by chance."""

LEAST_SHOTS = 0.01
"""Of the validation images with a copy in their own class from which it is told."""

CHUNK_VALUES = 16_000_000
"""Correlations held at once, 64 MB."""


@dataclass(frozen=True)
class Pair:
    """Two images that are nearly the same.

    Attributes:
        first: Index in the first set.
        second: Index in the second set.
        correlation: Of their thumbnails, in [-1, 1].
    """

    first: int
    second: int
    correlation: float


@dataclass(frozen=True)
class Thumbnails:
    """What is compared of a set.

    Attributes:
        index: Of the images that were taken, (N,).
        values: Centred and of norm 1; zero where the image has no pattern, (N, V) float32.
    """

    index: NDArray[np.int64]
    values: NDArray[np.float32]


def thumbnails(images: NDArray[np.uint8], most: int = MOST_IMAGES) -> Thumbnails:
    """Small grey copies of some images, made comparable by their correlation.

    Args:
        images: uint8, (N, C, S, S); they may be mapped from a file.
        most: How many are taken at most, spread over the set.
    """
    count = min(len(images), most)
    index = np.linspace(0, len(images) - 1, count).astype(np.int64)
    weights = _area_weights(images.shape[2])  # (16, S)
    values = np.empty((count, SIDE * SIDE), np.float32)
    step = 2048
    for start in range(0, count, step):
        part = images[index[start : start + step]].mean(1, dtype=np.float32)  # (B, S, S)
        small = weights @ part @ weights.T
        values[start : start + len(part)] = small.reshape(len(part), -1)
    values -= values.mean(1, keepdims=True)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    has_pattern = norms >= LEAST_DEVIATION * SIDE
    values = np.where(has_pattern, values / np.maximum(norms, 1e-12), 0.0).astype(np.float32)
    return Thumbnails(index, values)


def _area_weights(size: int) -> NDArray[np.float32]:
    """Averages `size` pixels into 16 cells, each by the share that lies there: (16, size)."""
    edges = np.linspace(0, size, SIDE + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = np.clip(overlap, 0, None)
    weights: NDArray[np.float32] = (shares / shares.sum(1, keepdims=True)).astype(np.float32)
    return weights


def across(first: Thumbnails, second: Thumbnails) -> list[Pair]:
    """For each image of the second set that has a near-duplicate in the first, the nearest."""
    pairs: list[Pair] = []
    for start, correlations in _chunks(second.values, first.values):
        pairs += _nearest(correlations, first.index, second.index[start:])
    return sorted(pairs, key=lambda pair: -pair.correlation)


def within_classes(some: Thumbnails, labels: NDArray[np.int64]) -> list[Pair]:
    """For each image with an earlier near-duplicate in its own class, the nearest of these.

    Args:
        some: Of the set.
        labels: Of the whole set, rising.
    """
    pairs: list[Pair] = []
    of_some = labels[some.index]
    starts = np.flatnonzero(np.r_[True, np.diff(of_some) > 0])
    for start, end in zip(starts, np.r_[starts[1:], len(of_some)], strict=True):
        values = some.values[start:end]
        correlations = np.tril(values @ values.T, -1)
        index = some.index[start:end]
        pairs += _nearest(correlations, index, index)
    return sorted(pairs, key=lambda pair: -pair.correlation)


def between_classes(
    some: Thumbnails, labels: NDArray[np.int64], *, least: float = LEAST_CORRELATION
) -> list[Pair]:
    """For each image with an earlier near-duplicate in another class, the nearest of these.

    Args:
        some: Of the set.
        labels: Of the whole set.
        least: Correlation from which images count as such.
    """
    pairs: list[Pair] = []
    of_some = labels[some.index]
    for start, correlations in _chunks(some.values, some.values):
        rows = np.arange(start, start + len(correlations))
        is_later = np.arange(len(of_some))[None, :] >= rows[:, None]
        is_same = of_some[None, :] == of_some[rows][:, None]
        correlations[is_later | is_same] = -1.0
        pairs += _nearest(correlations, some.index, some.index[start:], least)
    return sorted(pairs, key=lambda pair: -pair.correlation)


def _nearest(
    correlations: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    least: float = LEAST_CORRELATION,
) -> list[Pair]:
    """For each row of (B, N) with a near-duplicate, the pair of it and the nearest column."""
    best = correlations.argmax(1)
    values = correlations[np.arange(len(best)), best]
    return [
        Pair(int(first[best[row]]), int(second[row]), min(1.0, float(values[row])))
        for row in np.flatnonzero(values >= least)
    ]


def _chunks(
    asked: NDArray[np.float32], known: NDArray[np.float32]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    step = max(1, CHUNK_VALUES // max(1, len(known)))
    for start in range(0, len(asked), step):
        yield start, asked[start : start + step] @ known.T


def leaks(train: ImageSet, validation: ImageSet) -> list[str]:
    """Lines on what makes a validation score look better than it is; none where nothing does.

    - Near-duplicates of training images among the validation images: what is scored was seen.
    - Groups with classes on both sides: what tells them apart may be the source, not the class.
    - Near-duplicates within a validation class: support and query may be one shot.

    Args:
        train: Training images.
        validation: Those that score the trials.
    """
    lines: list[str] = []
    if train.images.dtype != np.uint8:  # series
        return lines
    seen, scored = thumbnails(train.images), thumbnails(validation.images)
    copies = across(seen, scored)
    if len(copies) >= LEAST_SHARE * len(scored.index) and copies:
        names = _example(train, validation, copies[0])
        lines.append(
            f"{_share(len(copies), len(scored.index))} of the validation images are nearly the "
            f"same as a training image, such as {names}: remove them, or divide by their source"
        )
    shared = sorted(set(train.groups) & set(validation.groups)) if len(train.groups) > 1 else []
    if shared:
        lines.append(
            f"{len(shared)} groups have classes on both sides, such as {shared[0]}: scores on new "
            "groups will be lower; data.split.by=group keeps them apart"
        )
    shots = within_classes(scored, validation.labels)
    if shots and len(shots) >= LEAST_SHOTS * len(scored.index):
        names = _example(validation, validation, shots[0])
        lines.append(
            f"{_share(len(shots), len(scored.index))} of the validation images are nearly the "
            f"same as another of their class, such as {names}: support and query may be one shot "
            "of one source"
        )
    return lines


def place_of(images: ImageSet, index: int) -> str:
    """An image by its class and its number there, from 1: `CLASS #3`."""
    label = images.labels[index]
    return f"{images.classes[label]} #{index - int(images.class_starts[label]) + 1}"


def _example(one: ImageSet, other: ImageSet, pair: Pair) -> str:
    return f"{place_of(other, pair.second)} and {place_of(one, pair.first)}"


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.1%})"
