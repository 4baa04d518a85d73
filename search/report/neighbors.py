"""What a page shows of a trained encoder, from embeddings alone.

I images, D embedding.
"""

from dataclasses import dataclass

import numpy as np

NEAREST = 6
"""Images that are shown beside a query."""

QUERIES = 12
"""Queries of each kind."""

PAIRS = 12
"""Pairs of each kind."""

LOOKED_AT = 2400
"""Pairs among which those are looked for, the hardest first."""

BINS = 40
"""Of the histogram of distances."""

ITERATIONS = 500
"""Of t-SNE; a thousand points have settled by then."""

MAX_PAIRS = 60_000
"""Pairs that the histogram counts, of each kind."""


@dataclass(frozen=True)
class Query:
    """An image and those that lie nearest to it.

    Attributes:
        row: Of the image.
        nearest: Rows of the nearest others, nearest first.
        distances: Theirs.
    """

    row: int
    nearest: tuple[int, ...]
    distances: tuple[float, ...]


def distances(embeddings: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs, shape (I, I), float32; 0 on the diagonal."""
    squares = np.square(embeddings).sum(1)
    squared = squares[:, None] + squares[None, :] - 2.0 * embeddings @ embeddings.T
    # A rounding error below zero has no root.
    between: np.ndarray = np.sqrt(np.maximum(squared, 0.0))
    np.fill_diagonal(between, 0.0)
    return between


def chosen_queries(
    between: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> dict[str, list[Query]]:
    """Queries whose nearest image is of another class, surest first; and any ones.

    Args:
        between: Distances of all pairs, shape (I, I).
        labels: Class of each image, shape (I,).
        random: Draws the others.

    Returns:
        `mistakes` and `any`; queries of classes with a single image are left out.
    """
    is_same = labels[:, None] == labels[None, :]
    own, other = between.copy(), between.copy()
    own[~is_same] = np.inf
    np.fill_diagonal(own, np.inf)
    other[is_same] = np.inf
    nearest_own, nearest_other = own.min(1), other.min(1)
    can_be_right = np.flatnonzero(np.isfinite(nearest_own))
    margin = nearest_own - nearest_other  # > 0 where another class is nearer
    worst = can_be_right[np.argsort(-margin[can_be_right], kind="stable")]
    mistakes = _of_different_classes([row for row in worst if margin[row] > 0], labels)
    order = random.permutation(can_be_right)
    return {
        "mistakes": [_query(row, between) for row in mistakes[:QUERIES]],
        "any": [_query(row, between) for row in _of_different_classes(order, labels)[:QUERIES]],
    }


def chosen_pairs(
    between: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> dict[str, list[tuple[int, int, float]]]:
    """Pairs of one class and of two: the hardest, and any.

    Returns:
        `similar_hard` (one class, far apart), `similar_any`, `different_hard` (two classes, near),
        `different_any`: rows and distance.
    """
    first, second = np.triu_indices(len(labels), k=1)
    is_same = labels[first] == labels[second]
    value = between[first, second]
    found = {}
    for name, mask, sign in (("similar", is_same, -1.0), ("different", ~is_same, 1.0)):
        index = np.flatnonzero(mask)
        keys = sign * value[index]
        if len(index) > LOOKED_AT:  # the hardest, without sorting millions
            index_hard = index[np.argpartition(keys, LOOKED_AT)[:LOOKED_AT]]
        else:
            index_hard = index
        hard = index_hard[np.argsort(sign * value[index_hard], kind="stable")]
        any_ = index[random.integers(0, len(index), LOOKED_AT)] if len(index) else index
        for kind, order in (("hard", hard), ("any", any_)):
            kept: list[tuple[int, int, float]] = []
            seen: set[int] = set()
            for place in order:
                a, b = int(first[place]), int(second[place])
                # One pair a class, so that one odd image does not fill the row.
                if labels[a] in seen or labels[b] in seen:
                    continue
                seen |= {int(labels[a]), int(labels[b])}
                kept.append((a, b, float(value[place])))
                if len(kept) == PAIRS:
                    break
            found[f"{name}_{kind}"] = kept
    return found


def distance_histogram(
    between: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> dict[str, list[float]]:
    """How far images of one class and of two lie apart, as shares of `BINS` equal steps.

    Returns:
        `edges` (`BINS` + 1 of them), `similar` and `different`, each summing to 1 unless empty.
    """
    first, second = np.triu_indices(len(labels), k=1)
    is_same = labels[first] == labels[second]
    value = between[first, second]
    sides = []
    for mask in (is_same, ~is_same):
        values = value[mask]
        if len(values) > MAX_PAIRS:
            values = values[random.choice(len(values), MAX_PAIRS, replace=False)]
        sides.append(values)
    edges = np.linspace(0.0, max(float(value.max(initial=0.0)), 1e-9), BINS + 1)
    shares = [np.histogram(side, edges)[0] / max(1, len(side)) for side in sides]
    return {
        "edges": edges.tolist(),
        "similar": shares[0].tolist(),
        "different": shares[1].tolist(),
    }


def principal_plane(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """The two directions of most variance.

    Returns:
        Coordinates, shape (I, 2), and the share of the variance that they hold, in [0, 1].
    """
    centred = embeddings - embeddings.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(embeddings), 2))
    size = min(2, len(values))
    plane[:, :size] = left[:, :size] * values[:size]
    total = float(np.square(values).sum())
    return plane, float(np.square(values[:2]).sum()) / total if total > 0 else 0.0


def neighbor_map(embeddings: np.ndarray, seed: int) -> np.ndarray | None:
    """t-SNE in the plane, shape (I, 2); None without scikit-learn or with too few images."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        return None
    if len(embeddings) < 10:
        return None
    perplexity = min(30.0, (len(embeddings) - 1) / 3)
    plane: np.ndarray = TSNE(
        perplexity=perplexity, init="pca", max_iter=ITERATIONS, random_state=seed, n_jobs=1
    ).fit_transform(embeddings.astype(np.float64))
    return plane


def _query(row: int, between: np.ndarray) -> Query:
    distance = between[row].copy()
    distance[row] = np.inf
    nearest = np.argsort(distance, kind="stable")[: min(NEAREST, len(distance) - 1)]
    return Query(
        int(row), tuple(int(n) for n in nearest), tuple(float(distance[n]) for n in nearest)
    )


def _of_different_classes(rows: "np.ndarray | list[int]", labels: np.ndarray) -> list[int]:
    """The first row of each class, in the order of the rows."""
    first: dict[int, int] = {}
    for row in rows:
        first.setdefault(int(labels[row]), int(row))
    return list(first.values())
