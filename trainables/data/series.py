"""The data set `series`: labelled series of one or several channels, of any lengths.

N series, C channels, L values.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...spaces import DataConfig
from .array_file import Allocate, in_memory
from .decoded import DecodedSet, Progress, unseen
from .image_set import DataError, ImageSet
from .series_files import read_series
from .series_preprocessing import SeriesPreprocessing

LEAST_SERIES = 2
"""Series that a class needs: a support and a query."""


class SeriesSource:
    """Series of a file, or of a set inside a library."""

    def __init__(self, config: DataConfig) -> None:
        """Read nothing yet.

        Args:
            config: Its path and length.
        """
        assert config.path is not None, "the record asks for it"
        self._path = config.path
        self._length = config.length
        self._small_classes = config.small_classes

    @property
    def key(self) -> str:
        """Names the file with its size and time."""
        path = Path(self._path)
        state = f"{path.stat().st_size} {path.stat().st_mtime_ns}" if path.is_file() else ""
        return hashlib.sha256(f"{self._path} {self._length} {state}".encode()).hexdigest()

    def decode(self, allocate: Allocate = in_memory, progress: Progress = unseen) -> DecodedSet:
        """Every series, resampled to one length, sorted by class.

        Args:
            allocate: Not used: series are few and small.
            progress: Told at the end.

        Raises:
            DataError: A series cannot be used, or no class has two.
            FileNotFoundError: There is no such file.
        """
        series, names = read_series(self._path)
        if not series:
            raise DataError(f"data.path must hold at least one series, got none in {self._path}")
        channels = len(series[0])
        length = self._length or int(np.median([one.shape[1] for one in series]))
        preprocessing = SeriesPreprocessing(channels, length)
        counts = {name: names.count(name) for name in dict.fromkeys(names)}
        small = sorted(name for name, count in counts.items() if count < LEAST_SERIES)
        if small and (self._small_classes == "refuse" or len(small) == len(counts)):
            raise DataError(f"each class needs 2 series, got 1 in class {small[0]}")
        kept = sorted(set(counts) - set(small), key=_natural)
        rows, labels = [], []
        for label, name in enumerate(kept):
            for place in (i for i, other in enumerate(names) if other == name):
                try:
                    rows.append(preprocessing.apply(series[place]))
                except ValueError as error:
                    raise DataError(f"series {place} of {self._path}: {error}") from error
                labels.append(label)
        progress(len(rows), len(rows))
        return DecodedSet(
            ImageSet(
                images=np.stack(rows),
                labels=np.array(labels, np.int64),
                classes=tuple(kept),
                groups=("all",),
                group_of_class=np.zeros(len(kept), np.int64),
            ),
            preprocessing,
            _notes(series, length, small),
        )


def _natural(name: str) -> tuple[float, str]:
    """Order of class names: numbers by their value, before the others."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _notes(series: Sequence[np.ndarray], length: int, small: Sequence[str]) -> tuple[str, ...]:
    lengths = [one.shape[1] for one in series]
    notes = []
    if (min(lengths), max(lengths)) != (length, length):
        stored = f"{min(lengths)} to {max(lengths)}" if min(lengths) < max(lengths) else lengths[0]
        notes.append(f"series of {stored} values are resampled to {length}")
    if small:
        notes.append(f"{len(small)} classes with one series are left out, such as {small[0]}")
    return tuple(notes)
