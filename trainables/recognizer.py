"""Who is it: images enrolled by name, and the nearest of them, or "unknown"."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibration import Threshold
from .embedder import Embedder, Item, load
from .gallery import Gallery, load_gallery

UNKNOWN = "unknown"

Images = Sequence[Item]


@dataclass(frozen=True)
class Answer:
    """What a recognizer says of an image.

    Attributes:
        name: Of whom, or None: nobody in the gallery is near enough.
        nearest: The nearest name, known or not.
        distance: To its nearest image, Euclidean.
        threshold: The distance from which on the answer is "unknown".
        runner_up: The nearest other name; None in a gallery of one.
        runner_up_distance: To its nearest image.
    """

    name: str | None
    nearest: str
    distance: float
    threshold: float
    runner_up: str | None
    runner_up_distance: float | None

    @property
    def is_known(self) -> bool:
        """Whether it is somebody of the gallery."""
        return self.name is not None

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return self.name or UNKNOWN


class Recognizer:
    """A model with a gallery: `enrol` names, `identify` images.

    The search is exact, over all images. Every change counts at once; `save` writes the gallery as
    one file, whole or not at all.
    """

    def __init__(
        self,
        model: Embedder | Path | str,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
    ) -> None:
        """A recognizer of nobody yet.

        Args:
            model: An exported folder, or what `tripletune.load` gave.
            threshold: The distance from which on the answer is "unknown"; by default that of the
                model's calibration for a gallery of this size.
            false_accept_rate: Of the calibration; by default its own.

        Raises:
            ValueError: If both are given, the threshold is below 0, or the calibration does not
                have the rate.
        """
        self.model = model if isinstance(model, Embedder) else load(model)
        if threshold is not None and false_accept_rate is not None:
            raise ValueError("threshold must not be given together with false_accept_rate")
        if threshold is not None and not threshold >= 0.0:
            raise ValueError(f"threshold must be >= 0, got {threshold}")
        self.model.calibration.threshold(1, false_accept_rate)
        self._threshold = threshold
        self._rate = false_accept_rate
        self.gallery = Gallery.empty(self.model.embedding_dim)

    @classmethod
    def load(
        cls,
        path: Path | str,
        model: Embedder | Path | str,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
    ) -> "Recognizer":
        """The recognizer whose gallery was saved.

        Args:
            path: Of the gallery.
            model: The one that it was enrolled with.
            threshold: As of the constructor.
            false_accept_rate: As of the constructor.

        Raises:
            FileNotFoundError: If there is no such file or model.
            ValueError: If the gallery is damaged, or of another model.
        """
        recognizer = cls(model, threshold=threshold, false_accept_rate=false_accept_rate)
        gallery, digest = load_gallery(Path(path))
        if digest != recognizer.model.digest:
            raise ValueError(
                f"the gallery must be of model {recognizer.model.digest}, got {path} of model "
                f"{digest:.40}: enrol its images with this one"
            )
        if gallery.embeddings.shape[1] != recognizer.model.embedding_dim:
            raise ValueError(f"{path} must be an undamaged gallery, got embeddings too short")
        recognizer.gallery = gallery
        return recognizer

    @property
    def names(self) -> tuple[str, ...]:
        """Everyone enrolled, in the order of their first images."""
        return self.gallery.names

    @property
    def threshold(self) -> float:
        """The distance from which on the answer is "unknown", for the gallery as it is now."""
        return self.calibrated.distance if self._threshold is None else self._threshold

    @property
    def false_accept_rate(self) -> float:
        """Share of strangers that the calibrated threshold lets pass."""
        return self.model.calibration.rate if self._rate is None else self._rate

    @property
    def calibrated(self) -> Threshold:
        """The entry of the calibration for a gallery of this size."""
        return self.model.calibration.threshold(max(1, len(self.gallery)), self._rate)

    def enrol(self, name: str, images: Images) -> None:
        """Add images of a name, new or known; all of them or, after an error, none.

        Raises:
            FileNotFoundError: If a path does not exist.
            ValueError: If there is no image, one is unreadable, or the name is not one line.
        """
        self.gallery = self.gallery.added(name, self.model.embed(images))

    def enrol_embeddings(self, name: str, embeddings: NDArray[np.float32]) -> None:
        """Add images that `model.embed` has read already, shape (K, D).

        Raises:
            ValueError: If they are not of this shape, or not finite.
        """
        dim = self.model.embedding_dim
        is_sound = embeddings.ndim == 2 and embeddings.shape[1] == dim and len(embeddings)
        if not is_sound or not np.isfinite(embeddings).all():
            raise ValueError(
                f"embeddings must be finite, of shape (K, {dim}), got {embeddings.shape}"
            )
        self.gallery = self.gallery.added(name, embeddings)

    def forget(self, name: str) -> None:
        """Remove a name and its images.

        Raises:
            KeyError: If nobody has it.
        """
        self.gallery = self.gallery.removed(name)

    def identify(self, images: Images) -> list[Answer]:
        """Who is on each image.

        Raises:
            FileNotFoundError: If a path does not exist.
            ValueError: If nobody is enrolled, or an image is unreadable.
        """
        return self.identify_embeddings(self.model.embed(images))

    def identify_embeddings(self, embeddings: NDArray[np.float32]) -> list[Answer]:
        """Who is on images that `model.embed` has read already, shape (Q, D)."""
        threshold = self.threshold
        return [
            Answer(
                name=match.name if match.distance < threshold else None,
                nearest=match.name,
                distance=match.distance,
                threshold=threshold,
                runner_up=match.runner_up,
                runner_up_distance=match.runner_up_distance,
            )
            for match in self.gallery.nearest(embeddings)
        ]

    def save(self, path: Path | str) -> None:
        """Write the gallery to one file, whole or not at all."""
        self.gallery.save(Path(path), self.model.digest)
