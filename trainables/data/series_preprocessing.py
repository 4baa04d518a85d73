"""From a series as people store it to the array that an encoder sees.

C channels, T values as stored, L values as resampled.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .preprocessing import Preprocessing


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

    def to_dict(self) -> dict[str, int]:
        """The record as plain data, for `preprocess.json` of an export."""
        return asdict(self)


def read_preprocessing(values: Mapping[str, Any]) -> Preprocessing | SeriesPreprocessing:
    """The record of `preprocess.json`, of images or of series.

    Raises:
        TypeError: A value is missing, or belongs to neither.
    """
    return SeriesPreprocessing(**values) if "length" in values else Preprocessing(**values)
