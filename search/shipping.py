"""How images reach the trials: through Ray's object store, or mapped from a file.

What fits in memory goes through the object store, once for all trials of a machine. A mapped set
goes by the path of its files where the trial sees them. On other machines its parts come through
the object store (which spills to disk) into a file of that machine's cache, once, and are mapped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import ray
from numpy.typing import NDArray

from ..trainables import ImageSet, TrialData
from ..trainables.data import ArrayFile, default_cache_dir, receive_side

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
class Shipment:
    """A data set on its way to the trials.

    Attributes:
        whole: What `receive` gives where it can be had: all of it, or with the path of the images.
        sides: Train and validation images, where they are mapped.
    """

    whole: "ray.ObjectRef[TrialData]"
    sides: tuple[Side, Side] | None


def ship(data: TrialData, *, is_one_machine: bool) -> Shipment:
    """Hand a data set to Ray.

    Args:
        data: In memory or mapped.
        is_one_machine: Whether all trials run on this machine.
    """
    prefix = f"{data.fingerprint[:16]}-{data.split_digest[:16]}"
    train = _side(f"{prefix}-train", data.train, is_one_machine=is_one_machine)
    validation = _side(f"{prefix}-validation", data.validation, is_one_machine=is_one_machine)
    whole = ray.put(data)
    if train is None or validation is None:
        return Shipment(whole, None)
    return Shipment(whole, (train, validation))


def receive(shipment: Shipment) -> TrialData:
    """The data set, its images shared with all trials of this machine.

    Raises:
        FileNotFoundError: The files of a mapped set are gone and were sent to nobody.
        OSError: Images from another machine cannot be kept here.
    """
    sides = shipment.sides
    if sides is None or all(side.file.is_here() for side in sides):
        return ray.get(shipment.whole)
    train, validation = (_received(side) for side in sides)
    # The description without the images, which are elsewhere.
    return replace(ray.get(shipment.whole), train=train, validation=validation)


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
    if side.file.is_here():
        images = side.file.open()
    elif not side.chunks:
        images = side.file.open()  # raises: says what to do
    else:
        chunks = (ray.get(chunk) for chunk in side.chunks)
        images = receive_side(side.name, default_cache_dir(), side.shape, chunks)
    return ImageSet(images, side.labels, side.classes, side.groups, side.group_of_class)
