"""Open world: a few images of new classes are enrolled beside everything that is known already.

The gallery holds every training image and K images of each newly enrolled class. A query is an
image of an enrolled class ("who is it?") or of a class that nobody enrolled ("nobody I know").

D embedding, G gallery images, C classes of the gallery, R rounds, Q queries.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..evaluation import Z_95
from .interval import clustered_mean

CHUNK_VALUES = 16_000_000
"""Distances held at once, 64 MB."""


@dataclass(frozen=True)
class Gallery:
    """Embeddings that are known before anything is enrolled.

    Attributes:
        embeddings: (G, D).
        labels: (G,) int64, numbers of their own.
    """

    embeddings: Tensor
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Round:
    """Images of the evaluated set."""

    enrolled: NDArray[np.int64]  # (C_new * K,)
    known: NDArray[np.int64]  # one of each enrolled class
    unknown: NDArray[np.int64]  # one of each other class


@dataclass(frozen=True)
class _Answers:
    """What became of the queries; chances where there are ties."""

    label: NDArray[np.int64]
    distance: NDArray[np.float64]  # to the nearest image of the gallery
    top_1: NDArray[np.float64]
    top_3: NDArray[np.float64]
    top_3_images: NDArray[np.float64]


def open_world(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    gallery: Gallery | None,
    *,
    shot: int = 1,
    rounds: int = 20,
    seed: int = 0,
    threshold: float | None = None,
) -> dict[str, Any] | None:
    """One-shot recognition among all classes, with and without the answer "unknown".

    In each round a random half of the classes is enrolled with K images each. One more image of
    each enrolled class, and one of each class that is not, are the queries. `top_1` is the share
    of the former whose nearest class is their own, a class being as near as its nearest image;
    `top_3` asks for one of the three nearest classes, `top_3_images` for any of the three nearest
    images, which is how source system 1 counts (metric learning for mushrooms). Where classes are
    equally near, each order counts alike: one point for all scores 1/C and 3/C.

    With "unknown", a query farther than the threshold from every image is nobody's. `accuracy` is
    the mean of the share of known queries that are recognised and of unknown ones that are
    refused, so the two weigh the same; 0.5 is chance. Without a threshold given, it is set to the
    best on half of the classes and scored on the other half, and the other way round.

    Args:
        embeddings: Of new classes, as the encoder is used, shape (I, D).
        labels: Their classes, shape (I,).
        gallery: What is known before; None where there is nothing.
        shot: K. Classes of fewer than K + 1 images are only ever unknown.
        rounds: How many.
        seed: Of the rounds.
        threshold: Distance set on other data; None sets it here, by halves.

    Returns:
        Plain data; None where fewer than four classes have K + 1 images.
    """
    counts = np.bincount(labels)
    if int((counts > shot).sum()) < 4:
        return None
    random = np.random.default_rng([seed, rounds, shot])
    known: list[_Answers] = []
    unknown: list[_Answers] = []
    num_classes = []
    for _ in range(rounds):
        drawn = _draw(labels, counts, shot, random)
        answers, of_gallery = _answer(embeddings, labels, gallery, drawn)
        known.append(_part(answers, slice(0, len(drawn.known))))
        unknown.append(_part(answers, slice(len(drawn.known), None)))
        num_classes.append(of_gallery)
    seen, strange = _joined(known), _joined(unknown)
    return {
        "shot": shot,
        "rounds": rounds,
        "classes_in_gallery": float(np.mean(num_classes)),
        "num_known": len(seen.label),
        "num_unknown": len(strange.label),
        "top_1": clustered_mean(seen.top_1, seen.label),
        "top_3": clustered_mean(seen.top_3, seen.label),
        "top_3_images": clustered_mean(seen.top_3_images, seen.label),
        "unknown": _with_unknown(seen, strange, threshold, len(counts), random),
    }


def _draw(
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
    shot: int,
    random: np.random.Generator,
) -> _Round:
    order = np.lexsort((random.random(len(labels)), labels))  # shuffled within each class
    starts = np.cumsum(counts) - counts
    able = random.permutation(np.flatnonzero(counts > shot))
    enrolled = np.sort(able[: len(able) // 2])
    others = np.setdiff1d(np.flatnonzero(counts > 0), enrolled)
    return _Round(
        enrolled=order[(starts[enrolled][:, None] + np.arange(shot)).ravel()],
        known=order[starts[enrolled] + shot],
        unknown=order[starts[others]],
    )


@torch.inference_mode()
def _answer(
    embeddings: Tensor, labels: NDArray[np.int64], gallery: Gallery | None, drawn: _Round
) -> tuple[_Answers, int]:
    """Answers to the known and then the unknown queries, and the classes of the gallery."""
    device = embeddings.device
    origin = embeddings[:1]  # equal embeddings become exact zeros: see score_episodes
    new_classes, new_labels = np.unique(labels[drawn.enrolled], return_inverse=True)
    points = [(embeddings[torch.from_numpy(drawn.enrolled).to(device)] - origin).float()]
    classes = [new_labels.astype(np.int64)]
    num_classes = len(new_classes)
    if gallery is not None:
        known_classes, known_labels = np.unique(gallery.labels, return_inverse=True)
        points.append((gallery.embeddings.to(device) - origin).float())
        classes.append(known_labels.astype(np.int64) + num_classes)
        num_classes += len(known_classes)
    images = torch.cat(points)  # (G, D)
    of_class = torch.from_numpy(np.concatenate(classes)).to(device)  # (G,)
    squares = images.square().sum(1)
    query = np.concatenate([drawn.known, drawn.unknown])
    own = np.searchsorted(new_classes, labels[query])
    own[len(drawn.known) :] = 0  # of no use: nobody is right
    asked = (embeddings[torch.from_numpy(query).to(device)] - origin).float()
    parts: list[Tensor] = []
    rows = torch.arange(len(query), device=device)
    for chunk in rows.split(max(1, CHUNK_VALUES // len(images))):
        squared = asked[chunk].square().sum(1, keepdim=True) + torch.addmm(
            squares, asked[chunk], images.T, alpha=-2.0
        )  # (B, G)
        distance = squared.clamp_min(0.0).sqrt()
        right = torch.from_numpy(own).to(device)[chunk]
        parts.append(_chances(distance, of_class, right, num_classes))
    values = torch.cat(parts).cpu().numpy().astype(np.float64)
    return _Answers(labels[query], values[:, 0], values[:, 1], values[:, 2], values[:, 3]), (
        num_classes
    )


def _chances(distance: Tensor, of_class: Tensor, right: Tensor, num_classes: int) -> Tensor:
    """Nearest distance, and the chances of the three ways to be right, (B, 4) float64."""
    index = of_class.expand(len(distance), -1)
    nearest = distance.new_full((len(distance), num_classes), torch.inf)
    nearest.scatter_reduce_(1, index, distance, "amin")  # (B, C)
    own = nearest.gather(1, right[:, None])  # (B, 1)
    nearer = (nearest < own).sum(1).double()
    tied = (nearest == own).sum(1).double()  # itself included
    is_own = of_class[None, :] == right[:, None]
    nearer_images = (distance < own).sum(1).double()
    tied_images = (distance == own).sum(1).double()
    tied_own = ((distance == own) & is_own).sum(1).double()
    missed = torch.ones_like(nearer)
    for draw in range(3):  # without replacement, from the tied ones that are not its own
        is_drawn = nearer_images + draw < 3
        left = (tied_images - draw).clamp_min(1.0)
        others = (tied_images - tied_own - draw).clamp_min(0.0)
        missed = torch.where(is_drawn, missed * others / left, missed)
    return torch.stack(
        [
            nearest.amin(1).double(),
            ((1 - nearer) / tied).clamp(0.0, 1.0),
            ((3 - nearer) / tied).clamp(0.0, 1.0),
            1 - missed,
        ],
        dim=1,
    )


def _part(answers: _Answers, chosen: slice) -> _Answers:
    return _Answers(*(getattr(answers, name)[chosen] for name in vars(answers)))


def _joined(parts: list[_Answers]) -> _Answers:
    return _Answers(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0]))
    )


def _with_unknown(
    seen: _Answers,
    strange: _Answers,
    threshold: float | None,
    num_classes: int,
    random: np.random.Generator,
) -> dict[str, Any]:
    auroc = separation(seen.distance, seen.label, strange.distance, strange.label)
    best = best_threshold(seen.distance, seen.top_1, strange.distance)
    in_first = random.permutation(num_classes) < num_classes // 2  # (classes,)
    recognised, refused = [], []
    for half in (in_first, ~in_first):
        at = threshold
        if at is None:
            others = ~half
            at = best_threshold(
                seen.distance[others[seen.label]],
                seen.top_1[others[seen.label]],
                strange.distance[others[strange.label]],
            )
        is_here, is_strange_here = half[seen.label], half[strange.label]
        accepted = seen.distance[is_here] <= at
        recognised.append(seen.top_1[is_here] * accepted)
        refused.append((strange.distance[is_strange_here] > at).astype(np.float64))
    known, unknown = np.concatenate(recognised), np.concatenate(refused)
    both = (float(known.mean()), float(unknown.mean()))
    return {
        "auroc": auroc,
        "accuracy": sum(both) / 2,
        "recognised": both[0],
        "refused": both[1],
        "threshold": best if threshold is None else threshold,
        "threshold_set_on": "the other half of the classes" if threshold is None else "other data",
    }


def separation(
    known: NDArray[np.float64],
    known_label: NDArray[np.int64],
    unknown: NDArray[np.float64],
    unknown_label: NDArray[np.int64],
) -> dict[str, Any]:
    """AUROC: how likely an unknown query is farther from the gallery than a known one.

    Ties count one half. The interval is DeLong's, with whole classes as draws.

    Args:
        known: Distances of known queries to their nearest image.
        known_label: Their classes.
        unknown: Distances of unknown queries.
        unknown_label: Their classes.

    Source: DeLong, DeLong, Clarke-Pearson 1988: Comparing the areas under two or more correlated
    receiver operating characteristic curves. Biometrics 44.
    """
    of_known = 1 - _share_below(np.sort(unknown), known)  # unknown ones farther than each known
    of_unknown = _share_below(np.sort(known), unknown)
    one, other = clustered_mean(of_known, known_label), clustered_mean(of_unknown, unknown_label)
    if one["interval"] is None or other["interval"] is None:
        return {"mean": one["mean"], "interval": None}
    errors = [(part["interval"][1] - part["mean"]) / Z_95 for part in (one, other)]
    half = Z_95 * float(np.hypot(*errors))
    mean = one["mean"]
    return {"mean": mean, "interval": [max(0.0, mean - half), min(1.0, mean + half)]}


def _share_below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    share: NDArray[np.float64] = below / (2 * len(ordered))
    return share


def best_threshold(
    known: NDArray[np.float64], is_right: NDArray[np.float64], unknown: NDArray[np.float64]
) -> float:
    """The distance that best tells known from unknown queries.

    It maximises the mean of the share of known queries that are right and at most as far, and of
    unknown ones that are farther; halfway to the next distance, the smallest where several do.

    Args:
        known: Distances of known queries to their nearest image.
        is_right: Whether each was recognised, or its chance.
        unknown: Distances of unknown queries.

    Returns:
        A distance; -1 where it is best to refuse everything.
    """
    distances = np.unique(np.concatenate([known, unknown]))
    order = np.argsort(known, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum(is_right[order])]) / max(1, len(known))
    recognised = gained[np.searchsorted(known[order], distances, "right")]
    lost = np.searchsorted(np.sort(unknown), distances, "right") / max(1, len(unknown))
    value = recognised + 1 - lost
    place = int(value.argmax())
    if value[place] <= 1.0:  # of refusing everything
        return -1.0
    following = distances[place + 1] if place + 1 < len(distances) else distances[place]
    return float((distances[place] + following) / 2)
