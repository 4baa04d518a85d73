"""The export: a folder that holds a trained encoder and what is needed to use and judge it.

    recipe.yaml         what was trained, every value written out
    model.safetensors   weights and the normalisation of the training data
    preprocess.json     how an image file becomes the encoder's input
    scores.json         score, interval, hashes of data, split and episodes, versions

Nothing in it is pickled: loading a folder that somebody sent runs no code.
N images, D embedding, C channels, S image side.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load as load_weights
from safetensors.torch import save
from torch import Tensor

from ..spaces import ComputeConfig, Recipe, from_scratch, recipe_from_yaml, recipe_to_yaml
from .data import Preprocessing, SeriesPreprocessing, read_preprocessing
from .device import default_device
from .embedding import embed
from .encoders import Encoder, build_encoder
from .whole_file import whole_file

RECIPE_FILE = "recipe.yaml"
WEIGHTS_FILE = "model.safetensors"
PREPROCESSING_FILE = "preprocess.json"
SCORES_FILE = "scores.json"


@dataclass(frozen=True)
class Embedder:
    """A trained encoder with its preprocessing: images in, embeddings out.

    Attributes:
        recipe: What was trained.
        preprocessing: How an image becomes the encoder's input.
        scores: The content of `scores.json`.
        encoder: The network, in evaluation mode.
    """

    recipe: Recipe
    preprocessing: Preprocessing | SeriesPreprocessing
    scores: Mapping[str, Any]
    encoder: Encoder

    def embed(self, images: Sequence[Path | str | Image.Image | np.ndarray]) -> np.ndarray:
        """Embeddings of images, as the one-shot score was measured: near means same class.

        Args:
            images: Paths of image files, or PIL images; for a model of series, arrays (C, T).

        Returns:
            float32, shape (N, D); rows of norm 1 unless the recipe's loss trains without.

        Raises:
            FileNotFoundError: If a path does not exist.
            ValueError: If no image is given, or a file is not a readable image.
        """
        if not images:
            raise ValueError("images must hold at least one image, got none")
        pixels = np.stack([self._pixels(image) for image in images])  # (N, C, S, S)
        device = self.encoder.mean.device
        embeddings = embed(
            self.encoder,
            torch.from_numpy(pixels).to(device),
            unit_norm=self.recipe.objective.unit_norm,
        )
        return embeddings.cpu().numpy()

    def _pixels(self, image: Path | str | Image.Image | np.ndarray) -> np.ndarray:
        if isinstance(self.preprocessing, SeriesPreprocessing) or isinstance(image, np.ndarray):
            if not isinstance(self.preprocessing, SeriesPreprocessing):
                raise ValueError("images must be files or PIL images, got an array")
            return self.preprocessing.apply(np.asarray(image))
        if isinstance(image, Image.Image):
            return self.preprocessing.apply(image)
        try:
            with Image.open(image) as opened:
                return self.preprocessing.apply(opened)
        except FileNotFoundError:
            raise
        except (OSError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"images must be readable image files, got {image}: {error}"
            ) from error


def export_checkpoint(
    checkpoint: Path,
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    scores: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write the bundle of a checkpoint that `Trial.save` wrote; see `export_state`."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    export_state(state, recipe, preprocessing, scores, folder)


def export_state(
    state: Mapping[str, Any],
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    scores: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write the bundle of a trial.

    Args:
        state: Of the trial, from `Trial.state_dict`.
        recipe: The trial's recipe; precision and threads are filled in from the state.
        preprocessing: Of the data it was trained on.
        scores: Plain data for `scores.json`.
        folder: Where to; made if absent. Files of an earlier export there are replaced.
    """
    recipe = recipe.model_copy(update={"compute": ComputeConfig(**state["compute"])})
    weights = state["average"] or state["encoder"]
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors keeps no strides: channels-last weights are written in their logical order.
    contiguous = {name: value.cpu().contiguous().clone() for name, value in weights.items()}
    bundle = {
        RECIPE_FILE: recipe_to_yaml(recipe).encode(),
        WEIGHTS_FILE: save(contiguous),
        PREPROCESSING_FILE: json.dumps(asdict(preprocessing), indent=2).encode() + b"\n",
    }
    # Last, with the hash of each: files of two exports are told apart.
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in bundle.items()}
    scores = {**scores, "recipe": recipe.digest, "files": hashes}
    bundle[SCORES_FILE] = json.dumps(scores, indent=2).encode() + b"\n"
    for name, content in bundle.items():
        with whole_file(folder / name) as file:
            file.write(content)


def load(folder: Path | str, *, device: str | None = None) -> Embedder:
    """Load an exported folder.

    Args:
        folder: What `tripletune export` wrote.
        device: A torch device, such as `cpu`; by default the GPU where there is one.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If a file is damaged or does not belong to the others.
    """
    folder = Path(folder)
    for name in (RECIPE_FILE, WEIGHTS_FILE, PREPROCESSING_FILE, SCORES_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"folder must be an export of tripletune, got {folder}: it has no {name}"
            )
    bundle = {
        name: (folder / name).read_bytes()
        for name in (RECIPE_FILE, WEIGHTS_FILE, PREPROCESSING_FILE, SCORES_FILE)
    }
    recipe = recipe_from_yaml(
        bundle[RECIPE_FILE].decode(errors="replace"), origin=str(folder / RECIPE_FILE)
    )
    try:
        scores = json.loads(bundle[SCORES_FILE])
        _require_own_files(bundle, scores["files"])
        preprocessing = read_preprocessing(json.loads(bundle[PREPROCESSING_FILE]))
        encoder = _encoder(recipe, preprocessing.size, load_weights(bundle[WEIGHTS_FILE]))
    except Exception as error:  # every damaged file, whatever its reader raises
        raise ValueError(f"{folder} must be an undamaged export, got: {error}") from error
    encoder.eval().requires_grad_(False)
    return Embedder(
        recipe, preprocessing, scores, encoder.to(device if device else default_device())
    )


def _require_own_files(bundle: Mapping[str, bytes], hashes: Mapping[str, str]) -> None:
    """Refuse a folder whose files are not of one export."""
    for name, expected in hashes.items():
        if hashlib.sha256(bundle[name]).hexdigest() != expected:
            raise ValueError(f"{name} is not the one that {SCORES_FILE} was written for")


def _encoder(recipe: Recipe, size: tuple[int, int], weights: dict[str, Tensor]) -> Encoder:
    """The encoder of a recipe with these weights; nothing is downloaded for it."""
    channels = weights["mean"].shape[1]
    encoder = build_encoder(
        from_scratch(recipe.encoder),
        channels=channels,
        image_size=size,
        mean=torch.zeros(channels),
        std=torch.ones(channels),
        seed=0,
    )
    encoder.load_state_dict(weights)
    return encoder
