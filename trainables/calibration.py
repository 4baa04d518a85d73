"""When the answer is "unknown": distances measured on validation classes.

Somebody who is not in the gallery is still nearest to someone, and the nearer the larger it is:
the nearest of a hundred strangers is nearer than the nearest of ten. So the threshold is measured
for galleries of each size: one image each of G random classes, asked about an image of a class
that is not among them; the threshold is the distance that only a share `rate` of these is below.

C classes, I images, D embedding, G images of a gallery.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATES = (0.001, 0.01, 0.05, 0.1)
DEFAULT_RATE = 0.05
SIZES = tuple(figure * 10**power for power in range(6) for figure in (1, 2, 3, 4, 5, 7))
GALLERIES = 100
"""Random galleries that each size is measured on."""
SEED = 0
FEWEST_PAIRS = 10
"""Pairs of different classes that must lie below an extrapolated threshold."""


@dataclass(frozen=True)
class Threshold:
    """The threshold of a gallery of one size.

    Attributes:
        images: In the gallery, G.
        distance: Euclidean; at and above it the answer is "unknown".
        identified: Share of the images of enrolled classes that get their own name; None where it
            was not measured.
        is_measured: Whether validation had enough classes for such a gallery. Else it follows from
            the distances of pairs, as if those of one image were independent.
    """

    images: int
    distance: float
    identified: float | None
    is_measured: bool


@dataclass(frozen=True)
class Calibration:
    """The content of `calibration.json`.

    Attributes:
        rate: Share of strangers that may be taken for somebody, unless another one is asked for.
        thresholds: By rate, for galleries of rising size.
        num_classes: Validation classes that they were measured on.
        num_images: Images of them.
    """

    rate: float
    thresholds: Mapping[float, tuple[Threshold, ...]]
    num_classes: int
    num_images: int

    def threshold(self, num_images: int, rate: float | None = None) -> Threshold:
        """The threshold for a gallery: that of the next larger size that is listed.

        Args:
            num_images: In the gallery. Above the largest size listed, its threshold is given, and
                more strangers are accepted than the rate says.
            rate: One of those listed; None takes the calibration's own.

        Raises:
            ValueError: If the rate is not listed.
        """
        rate = self.rate if rate is None else rate
        if rate not in self.thresholds:
            listed = ", ".join(f"{one:g}" for one in sorted(self.thresholds))
            raise ValueError(
                f"false-accept rate must be one of {listed}, which this export was calibrated "
                f"for, got {rate:g}; export again with --false-accept {rate:g}"
            )
        listed_sizes = self.thresholds[rate]
        return next((one for one in listed_sizes if one.images >= num_images), listed_sizes[-1])

    def to_json(self) -> str:
        """The text of `calibration.json`."""
        content = {
            "distance": "euclidean",
            "measured_on": "validation classes",
            "classes": self.num_classes,
            "images": self.num_images,
            "false_accept_rate": self.rate,
            "thresholds": [
                {"false_accept_rate": rate, **asdict(one)}
                for rate in sorted(self.thresholds)
                for one in self.thresholds[rate]
            ],
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """The record that `to_json` wrote.

        Raises:
            ValueError: If it is not of this form, or a number is not finite.
        """
        try:
            content = json.loads(text)
            thresholds: dict[float, list[Threshold]] = {}
            for entry in content["thresholds"]:
                found = _read_threshold(dict(entry))
                thresholds.setdefault(float(entry["false_accept_rate"]), []).append(found)
            calibration = cls(
                rate=float(content["false_accept_rate"]),
                thresholds={rate: tuple(found) for rate, found in thresholds.items()},
                num_classes=int(content["classes"]),
                num_images=int(content["images"]),
            )
        except (KeyError, TypeError, OverflowError, AttributeError) as error:
            raise ValueError(f"calibration.json must hold thresholds, got {error!r}") from error
        if calibration.rate not in calibration.thresholds:
            raise ValueError(f"calibration.json must hold its rate {calibration.rate!r}")
        return calibration


def _read_threshold(entry: dict[str, Any]) -> Threshold:
    distance, identified = float(entry["distance"]), entry["identified"]
    if not (math.isfinite(distance) and distance >= 0.0):
        raise ValueError(f"a threshold must be finite and >= 0, got {distance!r}")
    return Threshold(
        images=int(entry["images"]),
        distance=distance,
        identified=None if identified is None else float(identified),
        is_measured=bool(entry["is_measured"]),
    )


def calibrate(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], rate: float | None = None
) -> Calibration:
    """Measure the thresholds.

    Args:
        embeddings: As the model gives them, of validation images, shape (I, D).
        labels: Their classes, shape (I,), at least two.
        rate: Share of strangers that may be accepted; None takes 0.05, or with fewer than 20
            images the smallest that they can show, 1 / I.

    Raises:
        ValueError: If the rate is not in [1 / I, 1), or there are fewer than two classes.
    """
    classes = np.unique(labels)
    num_classes, num_images = len(classes), len(labels)
    if num_classes < 2:
        raise ValueError(f"labels must hold at least 2 classes, got {num_classes}")
    if rate is None:
        rate = max(DEFAULT_RATE, 1 / num_images)
    if not 1 / num_images <= rate < 1.0:
        raise ValueError(
            f"false-accept rate must be >= 1 / {num_images}, the validation images, and < 1, got "
            f"{rate:g}"
        )
    rates = sorted({rate, *(one for one in RATES if one * num_images >= 1.0)})
    distances = _distances(embeddings)
    is_other = labels[:, None] != labels[None, :]
    sizes = [*(size for size in SIZES if size < num_classes - 1), num_classes - 1]
    strangers, friends = _nearest(distances, labels, classes, sizes)
    pairs = np.sort(distances[np.triu(is_other)])
    thresholds = {}
    for one in rates:
        measured = [_measured(size, one, strangers[size], *friends[size]) for size in sizes]
        thresholds[one] = (*measured, *_extrapolated(pairs, one, measured[-1]))
    return Calibration(rate, thresholds, num_classes, num_images)


def _distances(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distances of all images, (I, I)."""
    precise = embeddings.astype(np.float64)
    squares = (precise**2).sum(1)
    squared = squares[:, None] + squares[None, :] - 2.0 * precise @ precise.T
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return distances


Friends = tuple[NDArray[np.float64], NDArray[np.float64]]


def _nearest(
    distances: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: NDArray[np.int64],
    sizes: Sequence[int],
) -> tuple[dict[int, NDArray[np.float64]], dict[int, Friends]]:
    """Distances to the nearest image of random galleries of each size.

    Returns:
        Of strangers: to the nearest of G other classes. Of friends: to the image of the own class,
        and to the nearest of G - 1 others. Each over all galleries and images.
    """
    random = np.random.default_rng(SEED)
    everyone = np.arange(len(labels))
    of_class = [np.flatnonzero(labels == one) for one in classes]
    strangers: dict[int, list[NDArray[np.float64]]] = {size: [] for size in sizes}
    friends: dict[int, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
        size: [] for size in sizes
    }
    for _ in range(GALLERIES):
        order = random.permutation(len(classes))
        gallery = np.array([random.choice(of_class[index]) for index in order])  # (C,)
        own = labels[gallery][None, :] == labels[:, None]  # (I, C)
        near = distances[:, gallery]  # (I, C)
        place = own.argmax(1)  # (I,)
        to_own = near[everyone, place]
        is_asked = gallery[place] != everyone  # an image is not asked about itself
        nearest = np.minimum.accumulate(np.where(own, np.inf, near), axis=1)  # (I, C)
        for size in sizes:
            # Among the first `size` other classes: one more where the own one is among them.
            strangers[size].append(nearest[everyone, size - (place >= size)])
            rivals = size - 1 - (place >= size - 1)
            others = np.where(rivals < 0, np.inf, nearest[everyone, np.maximum(rivals, 0)])
            friends[size].append((to_own[is_asked], others[is_asked]))
    return (
        {size: np.concatenate(found) for size, found in strangers.items()},
        {
            size: (
                np.concatenate([own for own, _ in found]),
                np.concatenate([other for _, other in found]),
            )
            for size, found in friends.items()
        },
    )


def _measured(
    size: int,
    rate: float,
    strangers: NDArray[np.float64],
    to_own: NDArray[np.float64],
    to_others: NDArray[np.float64],
) -> Threshold:
    # The k-th smallest has exactly k below it, or fewer where some are equal.
    distance = float(np.sort(strangers)[int(rate * len(strangers))])
    is_identified = (to_own < distance) & (to_own < to_others)
    identified = float(is_identified.mean()) if len(to_own) else None
    return Threshold(size, distance, identified, is_measured=True)


def _extrapolated(pairs: NDArray[np.float64], rate: float, last: Threshold) -> Sequence[Threshold]:
    """Thresholds of larger galleries: 1 - (1 - F(t))^G = rate, F of the distances of pairs."""
    found: list[Threshold] = []
    for size in SIZES:
        if size <= last.images:
            continue
        share = -math.expm1(math.log1p(-rate) / size)
        below = int(share * len(pairs))
        if below < FEWEST_PAIRS:
            break
        distance = min(float(pairs[below]), (found or [last])[-1].distance)
        found.append(Threshold(size, distance, None, is_measured=False))
    return found
