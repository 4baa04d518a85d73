"""One picture file to pixels: whatever is wrong with it is one error that says so."""

import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .preprocessing import Preprocessing

EXTENSIONS = frozenset(
    {"bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"}
)
"""Of the files that are taken for pictures, in any case."""

LARGEST_FILE_BYTES = 256 * 2**20
"""Of one file: a larger one is no picture."""

# What Pillow's decoders raise on damaged files.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class PictureError(ValueError):
    """A file that is no readable picture; the message says why, without its name."""


def decode_picture(content: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The picture as an encoder sees it; to be called under `strict_pictures`.

    Args:
        content: Of the file.
        preprocessing: What is done to it.

    Returns:
        uint8, shape (channels, image_size, image_size).

    Raises:
        PictureError: It cannot be identified, is damaged, or is too large to be a picture.
    """
    with _opened(content) as picture:
        return preprocessing.apply(picture)


def look_at_picture(content: bytes) -> tuple[str, int, int]:
    """Format and mode, width and height of a picture; to be called under `strict_pictures`.

    Raises:
        PictureError: As for `decode_picture`.
    """
    with _opened(content) as picture:
        picture.load()
        return f"{picture.format} {picture.mode}", picture.width, picture.height


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(content)) as picture:
            yield picture
    except UnidentifiedImageError as error:  # whose text names an object in memory
        raise PictureError("cannot identify image file") from error
    except _DAMAGED as error:
        raise PictureError(" ".join(str(error).split()) or type(error).__name__) from error


def read_picture(path: Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The picture in a file as an encoder sees it; to be called under `strict_pictures`.

    Raises:
        FileNotFoundError: There is no such file.
        PictureError: It is a folder or a device, larger than 256 MiB, or as `decode_picture`.
    """
    try:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        if not path.is_file():
            raise PictureError("is no file")
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise PictureError(f"has {size} bytes, more than {LARGEST_FILE_BYTES}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror or error}") from error
    return decode_picture(content, preprocessing)


@contextmanager
def strict_pictures() -> Iterator[None]:
    """Within it a decompression bomb is an error, and odd metadata are not worth a word.

    Warning filters belong to the whole process: to be entered once around threads, not in each.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
