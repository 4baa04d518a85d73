"""Named embeddings, and an exact search among them.

N images, Q queries, D embedding, M names.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from .exact_search import search
from .whole_file import whole_file

FORMAT = "1"
LARGEST_HEADER_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Match:
    """The two nearest names to a query.

    Attributes:
        name: Whose image is nearest.
        distance: Euclidean, to that image.
        runner_up: The next other name; None in a gallery of one.
        runner_up_distance: To its nearest image.
    """

    name: str
    distance: float
    runner_up: str | None
    runner_up_distance: float | None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images by name, as embeddings; a change gives another gallery.

    Attributes:
        names: In the order in which they were first enrolled, no two alike.
        owners: Place in `names` of each image, int64, shape (N,).
        embeddings: float32, shape (N, D).
    """

    names: tuple[str, ...]
    owners: NDArray[np.int64]
    embeddings: NDArray[np.float32]

    @classmethod
    def empty(cls, dim: int) -> "Gallery":
        """A gallery of nobody, for embeddings of length `dim`."""
        return cls((), np.zeros(0, np.int64), np.zeros((0, dim), np.float32))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.owners)

    def counts(self) -> dict[str, int]:
        """Images of each name."""
        counts = np.bincount(self.owners, minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}

    def added(self, name: str, embeddings: NDArray[np.float32]) -> "Gallery":
        """With more images of a name, (K, D), new or known.

        Raises:
            ValueError: If the name is empty, longer than 200 characters or of several lines.
        """
        if not name or len(name) > 200 or not name.isprintable() or name != name.strip():
            raise ValueError(
                f"name must be 1 to 200 printable characters on one line, got {name!r:.60}"
            )
        names = self.names if name in self.names else (*self.names, name)
        owners = np.full(len(embeddings), names.index(name), np.int64)
        return Gallery(
            names,
            np.concatenate([self.owners, owners]),
            np.concatenate([self.embeddings, embeddings.astype(np.float32)]),
        )

    def removed(self, name: str) -> "Gallery":
        """Without a name.

        Raises:
            KeyError: If nobody has it.
        """
        if name not in self.names:
            raise KeyError(name)
        place = self.names.index(name)
        is_kept = self.owners != place
        owners = self.owners[is_kept]
        return Gallery(
            tuple(one for one in self.names if one != name),
            owners - (owners > place),
            self.embeddings[is_kept],
        )

    def nearest(self, queries: NDArray[np.float32]) -> list[Match]:
        """The two nearest names to each query, over all images; equal ones by their order.

        Args:
            queries: Shape (Q, D).

        Raises:
            ValueError: If nobody is enrolled.
        """
        if not len(self):
            raise ValueError("the gallery must hold somebody, got nobody: enrol a name first")
        found = search(queries, self.embeddings, self.owners)
        rows = zip(
            found.owner.tolist(),
            found.distance.tolist(),
            found.runner_up.tolist(),
            found.runner_up_distance.tolist(),
            strict=True,
        )
        return [
            Match(
                self.names[owner],
                distance,
                None if runner_up < 0 else self.names[runner_up],
                None if runner_up < 0 else runner_up_distance,
            )
            for owner, distance, runner_up, runner_up_distance in rows
        ]

    def save(self, path: Path, model: str) -> None:
        """Write the gallery, whole or not at all.

        Args:
            path: Of the file.
            model: Digest of the model that the embeddings are of.
        """
        tensors = {
            "owners": torch.from_numpy(self.owners),
            "embeddings": torch.from_numpy(self.embeddings),
        }
        about = {"format": FORMAT, "model": model, "names": json.dumps(self.names)}
        with whole_file(path) as file:
            file.write(save(tensors, about))


def load_gallery(path: Path) -> tuple[Gallery, str]:
    """A gallery that `Gallery.save` wrote, and the digest of its model.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no gallery, or is damaged or of a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the gallery must be a file, got {path}: it does not exist")
    content = path.read_bytes()
    try:
        about = _metadata(content)
        tensors = load_tensors(content)
        if about.get("format") != FORMAT:
            raise ValueError(
                f"format must be {FORMAT}, got {about.get('format')!r:.20}: update tripletune"
            )
        names = json.loads(about["names"])
        gallery = Gallery(tuple(names), tensors["owners"].numpy(), tensors["embeddings"].numpy())
        _require_sound(gallery)
        return gallery, str(about["model"])
    except Exception as error:  # every damaged file, whatever its reader raises
        raise ValueError(f"{path} must be an undamaged gallery, got: {error}") from error


def _metadata(content: bytes) -> dict[str, str]:
    """What a safetensors file says besides its tensors; the library gives it for paths only."""
    (size,) = struct.unpack("<Q", content[:8])
    if size > LARGEST_HEADER_BYTES:
        raise ValueError(f"its header has {size} bytes")
    about: dict[str, str] = json.loads(content[8 : 8 + size])["__metadata__"]
    return about


def _require_sound(gallery: Gallery) -> None:
    names: Sequence[object] = gallery.names
    owners, embeddings = gallery.owners, gallery.embeddings
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError("names must be different texts")
    if owners.dtype != np.int64 or owners.ndim != 1:
        raise ValueError(f"owners must be int64 of shape (N,), got {owners.dtype} {owners.shape}")
    if embeddings.dtype != np.float32 or embeddings.shape != (len(owners), *embeddings.shape[1:2]):
        raise ValueError(
            f"embeddings must be float32 of shape ({len(owners)}, D), got {embeddings.dtype} "
            f"{embeddings.shape}"
        )
    if not np.array_equal(np.unique(owners), np.arange(len(names))):
        raise ValueError("owners must name each name at least once and nothing else")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings must be finite")
