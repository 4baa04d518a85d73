"""Many small pictures in one: a page that holds hundreds of thumbnails stays small."""

import base64
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

LARGEST_SIDE = 48
"""Pixels of a thumbnail; larger images are made smaller."""

QUALITY = 72
"""Of lossy WebP, 0 to 100."""

INKS = ("#1d2330", "#3451d1", "#c2410c")
"""Of the channels of a series, again from the first after the last."""

MAX_SIDE = 16_000
"""WebP's limit is 16,383 pixels a side."""


class Pictures:
    """Collects images by their row, and puts the collected ones into one sheet.

    A series, which is an image of height 1, is drawn as a line.

    Args:
        images: uint8 of shape (I, C, S, S), C 1 or 3; or series, shape (I, C, 1, L).
        invert: Whether the values were inverted when they were decoded, and are turned back.
    """

    def __init__(self, images: np.ndarray, *, invert: bool) -> None:
        self._images = images
        self._invert = invert
        self._place_of: dict[int, int] = {}
        self._is_series = images.shape[2] == 1 < images.shape[3]

    def place(self, row: int) -> int:
        """The place of an image in the sheet; it is added at its first use."""
        return self._place_of.setdefault(int(row), len(self._place_of))

    def places(self, rows: Iterable[int]) -> list[int]:
        """The places of several images."""
        return [self.place(row) for row in rows]

    def to_json(self) -> dict[str, Any]:
        """The sheet as a data URI, with its columns, rows and the side of a thumbnail."""
        count = max(1, len(self._place_of))
        side = LARGEST_SIDE if self._is_series else min(LARGEST_SIDE, self._images.shape[-1])
        columns = min(count, MAX_SIDE // side, max(1, round(count**0.5)))
        rows = -(-count // columns)
        sheet = Image.new("RGB", (columns * side, rows * side))
        for row, place in self._place_of.items():
            at = (place % columns * side, place // columns * side)
            sheet.paste(self._thumbnail(row, side), at)
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", quality=QUALITY, method=4)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {
            "uri": f"data:image/webp;base64,{encoded}",
            "columns": columns,
            "rows": rows,
            "side": side,
        }

    def _thumbnail(self, row: int, side: int) -> Image.Image:
        if self._is_series:
            return _drawn(self._images[row, :, 0], side)
        pixels = np.moveaxis(self._images[row], 0, -1)
        if self._invert:
            pixels = 255 - pixels
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
        size = (side, side)
        return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _drawn(series: np.ndarray, side: int) -> Image.Image:
    """A series of shape (C, L) as lines, each channel from its least to its largest value."""
    scale = 4  # drawn larger, then made smaller: Pillow's lines have no smooth edges
    image = Image.new("RGB", (side * scale, side * scale), "white")
    pen = ImageDraw.Draw(image)
    x = np.linspace(2, side - 2, series.shape[1]) * scale
    for number, values in enumerate(series):
        low, high = float(values.min()), float(values.max())
        share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
        y = (2 + (side - 4) * (1 - share)) * scale
        points = np.column_stack([x, y]).ravel().tolist()
        pen.line(points, fill=INKS[number % len(INKS)], width=scale * 3 // 2)
    return image.resize((side, side), Image.Resampling.LANCZOS)
