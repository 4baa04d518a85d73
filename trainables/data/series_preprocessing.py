"""From a series as people store it to the array that an encoder sees.

C channels, T values as stored, L values as resampled.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .preprocessing import Preprocessing, invert

MOST_CHANNELS = 1024
LARGEST_LENGTH = 65_536
"""Of a series in an export."""


@dataclass(frozen=True)
class SeriesPreprocessing:
    """What is done to each series: resampled to one length.

    Attributes:
        channels: Of a series.
        length: Values of each channel.
    """

    channels: int
    length: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result: a series is an image of height 1."""
        return 1, self.length

    def apply(self, series: NDArray[np.floating]) -> NDArray[np.float32]:
        """The series as an encoder sees it, of shape (channels, 1, length).

        A channel of another length is resampled by linear interpolation between its first and last
        value. Values keep their unit: the encoder normalises by its training data.

        Args:
            series: (C, T), or (T,) for one channel; values at the end that are NaN in all channels
                are padding and are cut off.

        Raises:
            ValueError: The channels are not as many, or a value within is not finite.
        """
        values = np.atleast_2d(np.asarray(series, dtype=np.float64))  # (C, T)
        if values.ndim != 2 or len(values) != self.channels:
            raise ValueError(
                f"series must be of shape ({self.channels}, length), got {np.shape(series)}"
            )
        is_there = ~np.isnan(values).all(axis=0)
        values = values[:, : int(np.flatnonzero(is_there)[-1]) + 1 if is_there.any() else 0]
        if values.shape[1] < 2 or not np.isfinite(values).all():
            raise ValueError(
                "series must hold at least 2 values a channel, all finite, got "
                f"{values.shape[1]} values, {int((~np.isfinite(values)).sum())} not finite"
            )
        places = np.linspace(0.0, values.shape[1] - 1, self.length)
        stored = np.arange(values.shape[1])
        resampled = np.stack([np.interp(places, stored, channel) for channel in values])
        return resampled[:, None].astype(np.float32)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "SeriesPreprocessing":
        """The record that `to_dict` gave, from a file that anybody may have written.

        Raises:
            ValueError: If a value is missing, unknown or not what an export holds.
        """
        if set(content) != {"channels", "length"}:
            raise ValueError(f"preprocessing must hold channels, length, got {content!r:.100}")
        for key, most in (("channels", MOST_CHANNELS), ("length", LARGEST_LENGTH)):
            if type(content[key]) is not int or not 1 <= content[key] <= most:
                raise ValueError(f"{key} must be 1 to {most}, got {content[key]!r:.40}")
        return cls(channels=content["channels"], length=content["length"])

    def to_dict(self) -> dict[str, int]:
        """The record as plain data, for `preprocess.json` of an export."""
        return asdict(self)


def read_preprocessing(values: Mapping[str, Any]) -> Preprocessing | SeriesPreprocessing:
    """The record of `preprocess.json`, of images or of series.

    Raises:
        TypeError: A value is missing, or belongs to neither.
    """
    return SeriesPreprocessing(**values) if "length" in values else Preprocessing(**values)


def as_in_files(
    pixels: NDArray[Any], preprocessing: Preprocessing | SeriesPreprocessing
) -> NDArray[Any]:
    """Items after the preprocessing, (N, C, H, W), as files of that size would hold them.

    Returns:
        Images (N, S, S, C), or (N, S, S) of grey ones; series (N, C, L). `preprocessing` makes
        `pixels` of them again.
    """
    if isinstance(preprocessing, SeriesPreprocessing):
        return np.ascontiguousarray(pixels[:, :, 0])
    plain = invert(pixels) if preprocessing.invert else pixels
    images = np.ascontiguousarray(plain.transpose(0, 2, 3, 1))
    return images[..., 0] if images.shape[-1] == 1 else images
