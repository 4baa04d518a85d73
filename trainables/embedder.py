"""An exported folder, loaded: images in, embeddings out.

    recipe.yaml         what was trained, every value written out
    model.json          what network that makes, as plain values
    model.safetensors   its weights, and the normalisation of the training data
    preprocess.json     how an image file becomes its input
    calibration.json    the distance from which on the answer is "unknown"
    probes.safetensors  a few images with their embeddings, to check a machine by
    scores.json         scores, intervals, hashes of data, split, episodes and of these files

Nothing in it is pickled, no path in it is followed, and no value in it is believed: loading a
folder that somebody sent runs none of its code and reads nothing beside it. It takes torch, numpy,
Pillow and safetensors, and torchvision for its models; not the libraries of recipes and searches.
N images, D embedding, C channels, S image side.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load as load_tensors

from .architecture import Architecture
from .calibration import Calibration
from .data.pictures import PictureError, read_picture, strict_pictures
from .data.preprocessing import Preprocessing
from .data.series_preprocessing import SeriesPreprocessing
from .device import default_device
from .network import Network, build_network, require_tensor
from .threads import one_thread

if TYPE_CHECKING:
    from ..spaces import Recipe
    from .encoders import Encoder

RECIPE_FILE = "recipe.yaml"
MODEL_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
PREPROCESSING_FILE = "preprocess.json"
CALIBRATION_FILE = "calibration.json"
PROBES_FILE = "probes.safetensors"
SCORES_FILE = "scores.json"
NEEDED = (
    RECIPE_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    PREPROCESSING_FILE,
    CALIBRATION_FILE,
    PROBES_FILE,
    SCORES_FILE,
)
"""Files that every export has."""

LARGEST_TEXT_BYTES = 16 * 2**20
"""Of a file that is no weights."""


Item = Path | str | Image.Image | NDArray[Any]
"""An image file, an image, or, for a model of series, an array."""


@dataclass(frozen=True, eq=False)
class Embedder:
    """A trained encoder with its preprocessing: images in, embeddings out.

    Attributes:
        recipe_text: What was trained, as YAML.
        architecture: What network that makes.
        preprocessing: How an image becomes the encoder's input.
        calibration: From which distance on the answer is "unknown".
        scores: The content of `scores.json`.
        network: The encoder and what is behind it.
        probes: Images (P, S, S, C) or (P, S, S), uint8, as they would lie in files; or series,
            (P, C, L).
        probe_embeddings: What the exporting machine made of them, shape (P, D).
        origin: Where it came from, for messages.
    """

    recipe_text: str
    architecture: Architecture
    preprocessing: Preprocessing | SeriesPreprocessing
    calibration: Calibration
    scores: Mapping[str, Any]
    network: Network
    probes: NDArray[Any]
    probe_embeddings: NDArray[np.float32]
    origin: str

    @cached_property
    def recipe(self) -> "Recipe":
        """What was trained; reading it takes pydantic and ruamel.yaml.

        Raises:
            ValueError: If it is no recipe, or one of a newer version.
        """
        from ..spaces import recipe_from_yaml

        return recipe_from_yaml(self.recipe_text, origin=f"{self.origin}/{RECIPE_FILE}")

    @cached_property
    def digest(self) -> str:
        """Names the model: embeddings of two of one digest can be compared."""
        files = self.scores["files"]
        text = "".join(files[name] for name in (MODEL_FILE, WEIGHTS_FILE, PREPROCESSING_FILE))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding, D."""
        return self.architecture.embedding_dim

    def embed(self, images: Sequence[Item]) -> NDArray[np.float32]:
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
        with strict_pictures():
            return self.embed_pixels(np.stack([self.pixels(image) for image in images]))

    def embed_pixels(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings of images that went through the preprocessing.

        Args:
            pixels: Shape (N, C, S, S).

        Raises:
            ValueError: If an embedding is not finite, which no undamaged model gives.
        """
        try:
            return self.network.embed(pixels)
        except ArithmeticError as error:
            raise ValueError(f"{self.origin} must be an undamaged export, got {error}") from error

    @property
    def encoder(self) -> "Encoder":
        """The network without what is behind it, in evaluation mode."""
        return self.network.encoder

    def pixels(self, image: Item) -> NDArray[Any]:
        """An image as the encoder sees it, uint8, shape (C, S, S); a series, (C, 1, L).

        Raises:
            FileNotFoundError: If a path does not exist.
            ValueError: If it is not a readable image, or no series.
        """
        if isinstance(self.preprocessing, SeriesPreprocessing):
            return self.preprocessing.apply(np.asarray(image))
        if isinstance(image, np.ndarray):
            raise ValueError("images must be files or PIL images, got an array")
        if isinstance(image, Image.Image):
            return self.preprocessing.apply(image)
        try:
            return read_picture(Path(image), self.preprocessing)
        except PictureError as error:
            raise ValueError(
                f"images must be readable image files, got {image}: {error}"
            ) from error

    def check(self) -> float:
        """Largest difference between the recorded embeddings of the probes and those made here.

        It is 0.0 on the machine that exported the model, and about 1e-6 elsewhere.
        """
        is_series = isinstance(self.preprocessing, SeriesPreprocessing)
        with one_thread():  # the sums of more are not always the same ones
            made = self.embed([one if is_series else Image.fromarray(one) for one in self.probes])
        return float(np.abs(made - self.probe_embeddings).max())


def load(folder: Path | str, *, device: str | None = None) -> Embedder:
    """Load an exported folder.

    Args:
        folder: What `tripletune export` wrote.
        device: A torch device, such as `cpu`; by default the GPU where there is one.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If a file is damaged, does not belong to the others, or is of a newer version.
    """
    folder = Path(folder)
    return from_files({name: _read(folder, name) for name in NEEDED}, str(folder), device=device)


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"folder must be an export of tripletune, got {folder}: it has no {name}"
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{folder} must be an export of tripletune, got a {name} that is a link to a file "
            "outside; copy the file into the folder"
        )
    size = path.stat().st_size
    if size > LARGEST_TEXT_BYTES and not name.endswith(".safetensors"):
        raise ValueError(
            f"{folder} must be an undamaged export, got a {name} of {size} bytes, more than "
            f"{LARGEST_TEXT_BYTES}"
        )
    return path.read_bytes()


def from_files(files: Mapping[str, bytes], origin: str, *, device: str | None = None) -> Embedder:
    """The model that the files of an export hold.

    Args:
        files: Content by name, those of `NEEDED`.
        origin: Their folder, for messages.
        device: As of `load`.

    Raises:
        ValueError: As of `load`.
    """
    try:
        scores = json.loads(files[SCORES_FILE])
        _require_own_files(files, scores["files"])
        _require_known_version(files[RECIPE_FILE])
        architecture = Architecture.from_json(files[MODEL_FILE])
        values = json.loads(files[PREPROCESSING_FILE])
        kind = SeriesPreprocessing if "length" in values else Preprocessing
        preprocessing = kind.from_dict(values)
        given = (preprocessing.channels, *preprocessing.size)
        if given != (architecture.channels, *architecture.size):
            raise ValueError(
                f"{PREPROCESSING_FILE} must give what {MODEL_FILE} takes, got {given}"
            )
        weights = load_tensors(files[WEIGHTS_FILE])
        network = build_network(architecture, weights)
        probes, embeddings = _probes(
            files[PROBES_FILE], architecture, isinstance(preprocessing, SeriesPreprocessing)
        )
        calibration = Calibration.from_json(files[CALIBRATION_FILE])
        recipe_text = files[RECIPE_FILE].decode()
    except Exception as error:  # every damaged file, whatever its reader raises
        text = str(error) or type(error).__name__
        raise ValueError(f"{origin} must be an undamaged export, got: {text}") from error
    return Embedder(
        recipe_text=recipe_text,
        architecture=architecture,
        preprocessing=preprocessing,
        calibration=calibration,
        scores=scores,
        network=network.to(torch.device(device) if device else default_device()),
        probes=probes,
        probe_embeddings=embeddings,
        origin=origin,
    )


def _require_own_files(files: Mapping[str, bytes], hashes: Mapping[str, str]) -> None:
    """Refuse a folder whose files are not of one export."""
    for name in NEEDED:
        if name != SCORES_FILE and hashlib.sha256(files[name]).hexdigest() != hashes[name]:
            raise ValueError(f"{name} is not the one that {SCORES_FILE} was written for")


def _require_known_version(recipe: bytes) -> None:
    """Refuse a recipe of a newer version, by its first lines: reading all takes more libraries."""
    for line in recipe.decode().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "version" and value.strip() != "1":
            raise ValueError(
                f"{RECIPE_FILE} is of version {value.strip():.20}, and this tripletune reads "
                "version 1: update tripletune"
            )


def _probes(
    content: bytes, architecture: Architecture, is_series: bool
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    tensors = load_tensors(content)
    images, embeddings = tensors["images"], tensors["embeddings"]
    num, channels = len(images), architecture.channels
    colors = () if channels == 1 else (channels,)
    if is_series:
        require_tensor("images", images, (num, channels, architecture.size[1]), torch.float32)
    else:
        require_tensor("images", images, (num, *architecture.size, *colors), torch.uint8)
    require_tensor("embeddings", embeddings, (num, architecture.embedding_dim), torch.float32)
    return images.numpy(), embeddings.numpy()
