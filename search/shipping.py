"""How images reach the trials: through Ray's object store, or mapped from a file.

What fits in memory goes through the object store, once for all trials of a machine. A mapped set
goes by the path of its files where the trial sees them. On other machines its parts come through
the object store (which spills to disk) into a file of that machine's cache, once, and are mapped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import ray
from numpy.typing import NDArray

from ..trainables import ImageSet, Preprocessing, TrialData
from ..trainables.data import ArrayFile, SeriesPreprocessing, default_cache_dir, receive_side

CHUNK_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Side:
    """One mapped image set, for a machine that may not see its file.

    Attributes:
        name: Of its content.
        file: That it is mapped from.
        shape: Of its images.
        labels: And what else describes it, as in `ImageSet`.
        classes: See `labels`.
        groups: See `labels`.
        group_of_class: See `labels`.
        chunks: Its images in order; empty where every trial is on this machine.
    """

    name: str
    file: ArrayFile
    shape: tuple[int, int, int, int]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    group_of_class: NDArray[np.int64]
    chunks: "tuple[ray.ObjectRef[NDArray[np.uint8]], ...]"


@dataclass(frozen=True)
class Mapped:
    """A mapped data set; see `TrialData` for the other names."""

    train: Side
    validation: Side
    fingerprint: str
    split_digest: str
    notes: tuple[str, ...]
    preprocessing: Preprocessing | SeriesPreprocessing


def ship(data: TrialData, *, is_one_machine: bool) -> "Mapped | ray.ObjectRef[TrialData]":
    """Hand a data set to Ray.

    Args:
        data: In memory or mapped.
        is_one_machine: Whether all trials run on this machine.
    """
    sides = [
        _side(
            f"{data.fingerprint[:16]}-{data.split_digest[:16]}-{name}",
            images,
            is_one_machine=is_one_machine,
        )
        for name, images in (("train", data.train), ("validation", data.validation))
    ]
    train, validation = sides
    if train is None or validation is None:
        return ray.put(data)
    return Mapped(
        train=train,
        validation=validation,
        fingerprint=data.fingerprint,
        split_digest=data.split_digest,
        notes=data.notes,
        preprocessing=data.preprocessing,
    )


def receive(shipment: "Mapped | ray.ObjectRef[TrialData]") -> TrialData:
    """The data set, its images shared with all trials of this machine.

    Raises:
        FileNotFoundError: The files of a mapped set are gone, and its images were not sent.
        OSError: Images from another machine cannot be kept here.
    """
    if not isinstance(shipment, Mapped):
        return ray.get(shipment)
    return TrialData(
        train=_received(shipment.train),
        validation=_received(shipment.validation),
        fingerprint=shipment.fingerprint,
        split_digest=shipment.split_digest,
        notes=shipment.notes,
        preprocessing=shipment.preprocessing,
    )


def _side(name: str, images: ImageSet, *, is_one_machine: bool) -> Side | None:
    file = ArrayFile.of(images.images)
    if file is None:
        return None
    return Side(
        name=name,
        file=file,
        shape=images.images.shape,
        labels=images.labels,
        classes=images.classes,
        groups=images.groups,
        group_of_class=images.group_of_class,
        chunks=() if is_one_machine else tuple(_chunks(images.images)),
    )


def _chunks(images: NDArray[np.uint8]) -> "Iterator[ray.ObjectRef[NDArray[np.uint8]]]":
    step = max(1, CHUNK_BYTES // images[:1].nbytes)
    for start in range(0, len(images), step):
        yield ray.put(np.array(images[start : start + step]))


def _received(side: Side) -> ImageSet:
    if side.file.is_here() or not side.chunks:
        images = side.file.open()  # where it is not here: the error says what to do
    else:
        chunks = (ray.get(chunk) for chunk in side.chunks)
        images = receive_side(side.name, default_cache_dir(), side.shape, chunks)
    return ImageSet(images, side.labels, side.classes, side.groups, side.group_of_class)
