"""Images in a file that is mapped into memory: made at its full size, cut down, read.

Legend: N images, C channels, H height, W width.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int, int]

Allocate = Callable[[Shape], NDArray[np.uint8]]
"""Gives an array of zeros to fill: in memory, or mapped from a file."""

_ZEROS = bytes(2**20)
CHUNK_BYTES = 64 * 2**20
"""Read or copied at once."""


@dataclass(frozen=True)
class ArrayFile:
    """A file of images that other processes can map.

    Attributes:
        path: Absolute.
        size: In bytes.
        modified_ns: Time of its last change.
    """

    path: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> "ArrayFile | None":
        """The file that an array is mapped from, as a whole; None for any other array."""
        base: object = images.base  # a part of a mapped array has that array here
        if not isinstance(images, np.memmap) or not isinstance(base, mmap.mmap):
            return None
        path = Path(str(images.filename)).absolute()
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns)

    def is_here(self) -> bool:
        """Whether this machine sees the same file."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)

    def open(self) -> NDArray[np.uint8]:
        """The images, read-only.

        Raises:
            FileNotFoundError: The file is not here, or was changed.
        """
        if not self.is_here():
            raise FileNotFoundError(
                f"the images mapped from {self.path} must be as they were when the search began; "
                "the file is gone or was changed: go on with `tripletune resume`, which decodes "
                "again"
            )
        return open_array(Path(self.path))


def in_memory(shape: Shape) -> NDArray[np.uint8]:
    """Zeros in memory."""
    return np.zeros(shape, np.uint8)


def open_array(path: Path) -> NDArray[np.uint8]:
    """The array in a file, mapped and read-only.

    Raises:
        OSError: It cannot be read.
        ValueError: It is cut off, or no array.
    """
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return images


def create_array(path: Path, shape: Shape) -> NDArray[np.uint8]:
    """A writable array of zeros, mapped from a new file whose place on the disk is reserved.

    Writing to a mapped file on a full disk kills the process, so the disk is asked first.

    Raises:
        OSError: The disk cannot hold it.
    """
    with path.open("wb") as file:
        _write_header(file, shape)
        start, size = file.tell(), int(np.prod(shape))
        if hasattr(os, "posix_fallocate"):
            if size:
                os.posix_fallocate(file.fileno(), start, size)
        else:  # macOS
            for done in range(0, size, len(_ZEROS)):
                file.write(_ZEROS[: size - done])
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r+")
    return images


def cut_array(path: Path, shape: Shape) -> None:
    """Keep the first images of a file only; an array still mapped from it must not go further.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("r+b") as file:
        _write_header(file, shape)  # numpy leaves room for any number of images
        file.truncate(file.tell() + int(np.prod(shape)))
        file.flush()
        os.fsync(file.fileno())


def rows_at_once(images: NDArray[np.uint8]) -> int:
    """How many images make a chunk, at least one."""
    return max(1, CHUNK_BYTES // max(1, int(np.prod(images.shape[1:]))))


def _write_header(file: BinaryIO, shape: Shape) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
