"""From a picture as people store it to the array that an encoder sees.

The loader of a data set and an exported model both go through `Preprocessing.apply`, so an encoder
meets the same pixels in use as in training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

BRIGHT_BORDER = 192
"""Median border value from which a set counts as dark ink on bright paper. Photographs lie
around 127, paper and screens near 255; three quarters of the range tells them apart."""

LARGEST_SIDE = 512
"""Of the result, pixels."""

_BORDERS_AT_ONCE = 4096  # images


@dataclass(frozen=True)
class Preprocessing:
    """What is done to each picture: turned upright, made square, resized, perhaps inverted.

    Attributes:
        image_size: Side of the result, pixels.
        color: `grey` gives 1 channel, `rgb` gives 3.
        invert: Whether values v become 255 - v, so that paper is 0: affine augmentation and
            padding fill with 0, and their seams would show on white paper.
    """

    image_size: int
    color: Literal["grey", "rgb"]
    invert: bool

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return 1 if self.color == "grey" else 3

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        return self.image_size, self.image_size

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """The picture as an encoder sees it, of shape (channels, image_size, image_size).

        The EXIF orientation is applied; transparent parts become white; 16-bit grey keeps its
        upper 8 bits; of several frames the first is taken. The largest centred square is scaled
        with an antialiasing Lanczos filter.

        Args:
            image: Any picture that Pillow opens.

        Returns:
            uint8 in [0, 255].

        Raises:
            ValueError: The pixels are 32-bit numbers without a known range.
            OSError: The file behind the picture is damaged.
        """
        flat = _flatten(ImageOps.exif_transpose(image)).convert(
            "L" if self.color == "grey" else "RGB"
        )
        side = min(flat.size)
        left, top = (flat.width - side) // 2, (flat.height - side) // 2
        square = flat.resize(
            (self.image_size, self.image_size),
            Image.Resampling.LANCZOS,
            box=(left, top, left + side, top + side),
        )
        pixels = np.asarray(square, dtype=np.uint8).reshape(
            self.image_size, self.image_size, self.channels
        )
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # (C, H, W)
        return invert(pixels) if self.invert else pixels

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Preprocessing":
        """The record that `to_dict` gave, from a file that anybody may have written.

        Raises:
            ValueError: If a value is missing, unknown or not what an export holds.
        """
        if set(content) != set(cls.__dataclass_fields__):
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"preprocessing must hold {known}, got {content!r:.100}")
        side, color, is_inverted = content["image_size"], content["color"], content["invert"]
        if type(side) is not int or not 1 <= side <= LARGEST_SIDE:
            raise ValueError(f"image_size must be 1 to {LARGEST_SIDE}, got {side!r:.40}")
        if color not in ("grey", "rgb"):
            raise ValueError(f"color must be grey or rgb, got {color!r:.40}")
        if type(is_inverted) is not bool:
            raise ValueError(f"invert must be true or false, got {is_inverted!r:.40}")
        return cls(image_size=side, color=color, invert=is_inverted)

    def to_dict(self) -> dict[str, int | str | bool]:
        """The record as plain data, for `preprocess.json` of an export."""
        return asdict(self)


def invert(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 - v for every value v."""
    return np.bitwise_not(pixels)


def has_bright_border(images: NDArray[np.uint8]) -> bool:
    """Whether the images are dark on bright paper: their median border value is 192 or more.

    Args:
        images: (N, C, H, W) uint8, as decoded without inversion.

    Returns:
        False for an empty set.
    """
    if not len(images):
        return False
    counts = np.zeros(256, np.int64)
    for start in range(0, len(images), _BORDERS_AT_ONCE):  # they may be mapped from a file
        part = images[start : start + _BORDERS_AT_ONCE]
        for border in (part[..., 0, :], part[..., -1, :], part[..., 0], part[..., -1]):
            counts += np.bincount(border.reshape(-1), minlength=256)
    # The median is at least BRIGHT_BORDER where the mean of the middle two values is.
    total = int(counts.sum())
    lower, upper = np.searchsorted(counts.cumsum(), [(total - 1) // 2 + 1, total // 2 + 1])
    return bool((lower + upper) / 2 >= BRIGHT_BORDER)


def _flatten(image: Image.Image) -> Image.Image:
    """The picture in a mode of 8 bits a channel, without transparency."""
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint16)
        return Image.fromarray((pixels >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"pixels must have at most 16 bits a channel, got mode {image.mode!r} (32 bits)"
        )
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        paper = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(paper, opaque).convert("RGB")
    return image
