"""The page's section on the best model: what it sees in the validation classes.

I images, D embedding, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..export import checkpoint_network
from ..folder import StudyError
from ..records import TrialRecord
from ..study import Study
from .content import data_section
from .neighbors import (
    Query,
    chosen_pairs,
    chosen_queries,
    distance_histogram,
    distances,
    neighbor_map,
    principal_plane,
)
from .pictures import Pictures

if TYPE_CHECKING:
    from ...trainables.network import Network

MAX_IMAGES = 3000
"""Images among which neighbours are looked for; of larger sets an even sample."""

MAX_POINTS = 1000
"""Points of the map."""

EXAMPLES = 3
"""Pictures of a class beside a confusion."""


@dataclass(frozen=True)
class BestModel:
    """The section as plain data, or why there is none.

    Attributes:
        content: For the page; None where there is none.
        reason: Why there is none, a sentence; empty where there is one.
    """

    content: Mapping[str, Any] | None
    reason: str = ""


def best_model(study: Study) -> BestModel:
    """Look at the best complete trial through the validation images of its study.

    The weights are those of its newest checkpoint, or of the export in `best/` where that is gone.
    The images are decoded again, or taken from the cache. Nothing here opens the test classes.

    Returns:
        The section; or the reason, where there is no complete trial, or its weights or its images
        are gone, or the images are not those of the study.
    """
    record = study.leaderboard().best
    if record is None:
        return BestModel(None, "No trial has trained its whole budget yet.")
    try:
        return BestModel(_content(study, record))
    except KeyError as error:
        return BestModel(None, f"Trial {record.number} is of an older version: it has no {error}")
    except (StudyError, ValueError, OSError, RuntimeError) as error:
        return BestModel(None, f"Trial {record.number} cannot be looked into: {error}")


def _content(study: Study, record: TrialRecord) -> dict[str, Any]:
    from ...trainables import load_trial_data
    from ...trainables.inspection import embed_images, inspect_embeddings

    network = _network(study, record)
    data = load_trial_data(record.recipe.data)
    known = data_section(study, record)
    if (data.fingerprint, data.split_digest) != (known["fingerprint"], known["split"]):
        raise ValueError("the images are not those of the study any more")
    whole = data.validation
    measured = inspect_embeddings(
        embed_images(network, whole.images), whole, record.recipe.evaluation
    )
    rows = _even_sample(whole.class_starts, MAX_IMAGES)  # of the whole set
    images, labels = whole.images[rows], whole.labels[rows]
    embeddings = embed_images(network, images)
    between = distances(embeddings)
    random = np.random.default_rng(0)
    pictures = Pictures(images, invert=getattr(data.preprocessing, "invert", False))
    starts = np.searchsorted(labels, np.arange(whole.num_classes + 1))

    def examples(number: int) -> list[int]:
        first, last = int(starts[number]), int(starts[number + 1])
        return pictures.places(range(first, min(first + EXAMPLES, last)))

    queries = {
        kind: [_query(query, pictures, labels) for query in found]
        for kind, found in chosen_queries(between, labels, random).items()
    }
    pairs = {
        kind: [
            {"pictures": pictures.places((a, b)), "classes": [int(labels[a]), int(labels[b])],
             "distance": _short(value)}
            for a, b, value in found
        ]
        for kind, found in chosen_pairs(between, labels, random).items()
    }  # fmt: skip
    number_of = {name: number for number, name in enumerate(whole.classes)}
    return {
        "trial": record.number,
        "images": len(whole.labels),
        "shown_images": len(rows),
        "protocols": measured["protocols"],
        "retrieval": measured["retrieval"],
        "open_world": measured["open_world"],
        "classes": [
            {
                "name": name.rpartition("/")[2],
                "group": whole.groups[int(group)],
                "asked": measured["per_class"].get(name, {}).get("queries", 0),
                "accuracy": measured["per_class"].get(name, {}).get("accuracy"),
                "picture": examples(number)[0],
            }
            for number, (name, group) in enumerate(
                zip(whole.classes, whole.group_of_class, strict=True)
            )
        ],
        "has_groups": len(whole.groups) > 1,
        "map": _map(embeddings, labels, starts, pictures),
        "queries": queries,
        "pairs": pairs,
        "confusions": [
            {
                "classes": [number_of[name] for name in pair["classes"]],
                "confused": _short(pair["confused"]),
                "queries": pair["queries"],
                "examples": [examples(number_of[name]) for name in pair["classes"]],
            }
            for pair in measured["worst_pairs"]
        ],
        "distances": {
            name: [_short(value) for value in values]
            for name, values in distance_histogram(between, labels, random).items()
        },
        "sheet": pictures.to_json(),
    }


def _network(study: Study, record: TrialRecord) -> "Network":
    """The trial's model, of its newest checkpoint."""
    from ...trainables.embedder import load

    if study.folder.checkpoints(record.number):
        return checkpoint_network(study, record)
    embedder = load(study.folder.best, device="cpu")
    if (embedder.scores["study"], embedder.scores["trial"]) != (study.name, record.number):
        raise StudyError("its checkpoint is gone, and best/ holds another trial")
    return embedder.network


def _even_sample(starts: np.ndarray, most: int) -> np.ndarray:
    """Rows of a set, as many of each class as `most` allows, in their order."""
    counts = np.diff(starts)
    each = max(2, most // len(counts))
    while counts.clip(max=each + 1).sum() <= most and each < counts.max():
        each += 1
    kept = [
        np.arange(first, first + min(each, n)) for first, n in zip(starts, counts, strict=False)
    ]
    return np.concatenate(kept)


def _query(query: Query, pictures: Pictures, labels: np.ndarray) -> dict[str, Any]:
    return {
        "picture": pictures.place(query.row),
        "class": int(labels[query.row]),
        "nearest": [
            {"picture": pictures.place(row), "class": int(labels[row]), "distance": _short(value)}
            for row, value in zip(query.nearest, query.distances, strict=True)
        ],
    }


def _map(
    embeddings: np.ndarray, labels: np.ndarray, starts: np.ndarray, pictures: Pictures
) -> dict[str, Any]:
    rows = _even_sample(starts, MAX_POINTS)
    chosen = embeddings[rows]
    plane, share = principal_plane(chosen)
    views = [{"name": "PCA", "points": _points(plane), "variance": _short(share)}]
    neighbors = neighbor_map(chosen, seed=0)
    if neighbors is not None:
        views.insert(0, {"name": "t-SNE", "points": _points(neighbors)})
    return {
        "classes": labels[rows].tolist(),
        "pictures": pictures.places(rows),
        "views": views,
        "missing": "" if neighbors is not None else _NO_TSNE,
    }


_NO_TSNE = "t-SNE needs scikit-learn and ten images: pip install 'tripletune[report]'"


def _points(plane: np.ndarray) -> list[list[float]]:
    """Coordinates in [0, 1], one scale for both axes."""
    low = plane.min(0)
    size = max(float((plane.max(0) - low).max()), 1e-12)
    return [[round(float(x), 4), round(float(y), 4)] for x, y in (plane - low) / size]


def _short(value: float) -> float:
    return round(float(value), 5)
