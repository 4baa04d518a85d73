"""The export of a trained encoder, written: what `embedder.py` loads.

I images, C channels, S image side, D embedding.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from ..spaces import ComputeConfig, Recipe, recipe_to_yaml
from .architecture import Architecture
from .calibration import Calibration, calibrate
from .data import ImageSet, Preprocessing, SeriesPreprocessing
from .data.series_preprocessing import as_in_files
from .embedder import (
    CALIBRATION_FILE,
    MODEL_FILE,
    NEEDED,
    PREPROCESSING_FILE,
    PROBES_FILE,
    RECIPE_FILE,
    SCORES_FILE,
    WEIGHTS_FILE,
)
from .network import Network, Projection, build_network
from .onnx_model import check_onnx, to_onnx
from .threads import one_thread
from .whole_file import whole_file

CARD_FILE = "MODEL_CARD.md"
CURVE_FILE = "learning_curve.png"
NEAREST_FILE = "nearest.png"
ONNX_FILE = "model.onnx"
LEDGER_FILE = "ledger.jsonl"
"""Every look at test data with the export; it outlives a new export to the same place."""
KNOWN = frozenset({*NEEDED, CARD_FILE, CURVE_FILE, NEAREST_FILE, ONNX_FILE, LEDGER_FILE})
"""Every file that an export may hold."""

MOST_IMAGES = 1000
"""Validation images that the thresholds are measured on, and ..."""
MOST_OF_A_CLASS = 20
NUM_PROBES = 8


@dataclass(frozen=True, eq=False)
class Bundle:
    """The files of an export but for its scores, and what they were made with.

    Attributes:
        recipe: With the precision and threads that were really used.
        files: Content by name.
        network: The encoder, on the processor.
        pixels: Some validation images, uint8, shape (I, C, S, S); or series, (I, C, 1, L).
        labels: Their classes, shape (I,).
        embeddings: Theirs, shape (I, D).
        calibration: Measured on them.
    """

    recipe: Recipe
    files: Mapping[str, bytes]
    network: Network
    pixels: NDArray[Any]
    labels: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    calibration: Calibration


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state of a trial that `Trial.save` wrote, on the processor; reading it runs no code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def make_bundle(
    state: Mapping[str, Any],
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    validation: ImageSet,
    *,
    false_accept_rate: float | None = None,
    projection: Projection | None = None,
    is_onnx_wanted: bool = False,
) -> Bundle:
    """The export of a trial.

    Args:
        state: Of the trial, from `Trial.state_dict`.
        recipe: The trial's recipe; precision and threads are filled in from the state.
        preprocessing: Of the data it was trained on.
        validation: Images of validation classes; no others may set a threshold.
        false_accept_rate: Of strangers, for the thresholds; see `calibrate`.
        projection: A rotation to export behind the encoder.
        is_onnx_wanted: Whether to add the network as an ONNX graph, checked against this one.

    Raises:
        ValueError: If the rate cannot be shown by so few images, or ONNX is not installed.
        RuntimeError: If the ONNX graph cannot be made, or does not agree.
    """
    recipe = recipe.model_copy(update={"compute": ComputeConfig(**state["compute"])})
    architecture, weights = _parts(state, recipe, preprocessing, projection)
    network = build_network(architecture, weights)
    chosen = _spread(validation)
    pixels, labels = validation.images[chosen], validation.labels[chosen]
    embeddings = network.embed(pixels)
    calibration = calibrate(embeddings, labels, false_accept_rate)
    files = {
        RECIPE_FILE: recipe_to_yaml(recipe).encode(),
        MODEL_FILE: architecture.to_json().encode(),
        WEIGHTS_FILE: save(weights),
        PREPROCESSING_FILE: json.dumps(preprocessing.to_dict(), indent=2).encode() + b"\n",
        CALIBRATION_FILE: calibration.to_json().encode(),
        PROBES_FILE: _probes(network, pixels, preprocessing),
    }
    if is_onnx_wanted:
        files[ONNX_FILE] = to_onnx(network, pixels)
        check_onnx(files[ONNX_FILE], network, pixels)
    return Bundle(recipe, files, network, pixels, labels, embeddings, calibration)


def trial_network(
    state: Mapping[str, Any],
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    projection: Projection | None = None,
) -> Network:
    """What `make_bundle` would export, without the files."""
    return build_network(*_parts(state, recipe, preprocessing, projection))


def _parts(
    state: Mapping[str, Any],
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    projection: Projection | None,
) -> tuple[Architecture, dict[str, Tensor]]:
    given: Mapping[str, Tensor] = state["average"] or state["encoder"]
    # safetensors keeps no strides: channels-last weights are written in their logical order.
    weights = {name: value.cpu().contiguous().clone() for name, value in given.items()}
    architecture = Architecture.of(
        recipe,
        channels=preprocessing.channels,
        size=preprocessing.size,
        projected_dim=None if projection is None else len(projection.components),
    )
    return architecture, weights | ({} if projection is None else projection.tensors())


def _spread(validation: ImageSet) -> NDArray[np.int64]:
    """Some images of as many classes as can be, two at least of each."""
    classes = np.arange(validation.num_classes)
    if len(classes) > MOST_IMAGES // 2:
        classes = np.linspace(0, len(classes) - 1, MOST_IMAGES // 2).astype(np.int64)
    most = min(MOST_OF_A_CLASS, MOST_IMAGES // len(classes))
    starts, counts = validation.class_starts, validation.class_counts
    return np.concatenate(
        [np.arange(starts[one], starts[one] + min(most, counts[one])) for one in classes]
    )


def _probes(
    network: Network, pixels: NDArray[Any], preprocessing: Preprocessing | SeriesPreprocessing
) -> bytes:
    """A few images as they would lie in files, and their embeddings by one thread."""
    few = pixels[np.linspace(0, len(pixels) - 1, min(NUM_PROBES, len(pixels))).astype(np.int64)]
    with one_thread():
        embeddings = network.embed(few)
    images = np.ascontiguousarray(as_in_files(few, preprocessing))
    return save({"images": torch.from_numpy(images), "embeddings": torch.from_numpy(embeddings)})


def write_bundle(files: Mapping[str, bytes], scores: Mapping[str, Any], folder: Path) -> None:
    """Write an export: its folder appears whole, or stays as it was.

    Args:
        files: Content by name; `scores.json` is added, with the hash of each of them.
        scores: Plain data for it.
        folder: New, empty, or an earlier export, which is replaced.

    Raises:
        ValueError: If the folder holds other files, or is none.
        OSError: If it cannot be written.
    """
    require_place(folder)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = json.dumps({**scores, "files": hashes}, indent=2, allow_nan=False)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{folder.name}.partial")
    replaced = folder.with_name(f".{folder.name}.replaced")
    if replaced.exists() and not folder.exists():  # a writer was killed between two renames
        replaced.rename(folder)
    for left in (made, replaced):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir()
    try:
        for name, content in {**files, SCORES_FILE: text.encode() + b"\n"}.items():
            with whole_file(made / name) as file:
                file.write(content)
        if (folder / LEDGER_FILE).exists():
            shutil.copy2(folder / LEDGER_FILE, made / LEDGER_FILE)
        _sync(made)
        if folder.exists():
            folder.rename(replaced)
        try:
            made.rename(folder)
        except OSError:
            if replaced.exists():
                replaced.rename(folder)
            raise
        _sync(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def require_place(folder: Path) -> None:
    """Refuse a folder that an export may not replace.

    Raises:
        ValueError: If it holds files of something else, or is no folder.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"folder must be a folder or new, got {folder}, which is a file")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in KNOWN)
    if foreign:
        raise ValueError(
            f"folder must be new, empty or an export, got {folder}, which holds {foreign[0]}: "
            "choose another one"
        )


def _sync(folder: Path) -> None:
    """Make the names in a folder last, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
