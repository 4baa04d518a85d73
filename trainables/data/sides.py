"""The training and validation images of a split, each mapped from a file of its own.

A trial is given these files and never the file of the whole set, which holds the test images too.
"""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from .array_file import Shape, create_array, open_array
from .cache import CachedSet
from .image_set import ImageSet
from .splits import Split

SIDES = ("train", "validation")


def map_sides(cached: CachedSet, split: Split) -> tuple[ImageSet, ImageSet]:
    """Train and validation images, copied out of the cached set once a split and mapped.

    Args:
        cached: The whole set.
        split: Its classes, divided.

    Returns:
        Sets whose images are mapped read-only; pickled, they go by the path of their file.

    Raises:
        OSError: The set is not in the cache, or the files cannot be written.
    """
    if cached.entry is None:
        raise OSError("there is no cached file to map them from")
    whole, entry = cached.decoded.image_set, cached.entry
    folder = entry / f"split-{split.digest[:16]}"
    with FileLock(entry.parent / f"{entry.name}.lock"):
        if not folder.is_dir():
            with _made(folder, entry.name, entry.parent) as made:
                for side in SIDES:
                    _copy(whole, getattr(split, side), made / f"{side}.npy")
    train, validation = (
        whole.relabelled(getattr(split, side), open_array(folder / f"{side}.npy"))
        for side in SIDES
    )
    return train, validation


def receive_side(
    name: str, cache_dir: Path, shape: Shape, chunks: Iterable[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Images that came from another machine, kept in a file of this one and mapped.

    Args:
        name: Of the images, the same whenever they are.
        cache_dir: Holds decoded sets.
        shape: Of all of them.
        chunks: The images in their order; not asked for where the file is there.

    Raises:
        OSError: The file cannot be written.
    """
    folder = cache_dir / f"received-{name}"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir / f"{folder.name}.lock"):
        if not folder.is_dir():
            with _made(folder, folder.name, cache_dir) as made:
                images = create_array(made / "images.npy", shape)
                place = 0
                for chunk in chunks:
                    images[place : place + len(chunk)] = chunk
                    place += len(chunk)
                _flush(images, made / "images.npy")
    return open_array(folder / "images.npy")


@contextmanager
def _made(folder: Path, prefix: str, parent: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `folder` once that is done; a killed one's rest is removed."""
    for left in parent.glob(f"{prefix}.*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{prefix}.", dir=parent))
    try:
        yield made
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _flush(images: NDArray[np.uint8], path: Path) -> None:
    if isinstance(images, np.memmap):
        images.flush()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _copy(whole: ImageSet, classes: Collection[str], path: Path) -> None:
    def allocate(shape: Shape) -> NDArray[np.uint8]:
        return create_array(path, shape)

    _flush(whole.subset(classes, allocate).images, path)
