"""Which classes are recognised, and which are taken for each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..episodes import Episodes, answer_episodes
from ..evaluation import Z_95


@dataclass(frozen=True)
class ClassScore:
    """How the queries of one class were answered.

    Attributes:
        label: Of the class.
        accuracy: Share of its queries that were recognised, in [0, 1].
        num_queries: How many there were, over all episodes.
    """

    label: int
    accuracy: float
    num_queries: int


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are taken for each other.

    Attributes:
        labels: Of the two, the smaller first.
        rate: Share of the queries of one, in episodes that hold both, that were taken for the
            other; both directions together.
        num_queries: Those queries.
    """

    labels: tuple[int, int]
    rate: float
    num_queries: int


@dataclass(frozen=True)
class Confusion:
    """Classes and pairs of a list of episodes.

    Attributes:
        classes: Every class that was asked about, by label.
        worst_pairs: The most confused ones first.
    """

    classes: tuple[ClassScore, ...]
    worst_pairs: tuple[ConfusedPair, ...]


def confusion(
    embeddings: Tensor, labels: NDArray[np.int64], episodes: Episodes, *, num_pairs: int = 10
) -> Confusion:
    """Accuracy of each class and the pairs that are confused most, over a list of episodes.

    A pair is ranked by the lower end of the 95 % Wilson interval of its rate: one error in one
    query is no finding, fifty in a hundred are.

    Args:
        embeddings: As for `score_episodes`.
        labels: Class of each image, shape (I,).
        episodes: The frozen list.
        num_pairs: Pairs to name at most; pairs without an error are not named.
    """
    num_classes = int(labels.max()) + 1
    right, asked = np.zeros(num_classes), np.zeros(num_classes)
    codes: list[NDArray[np.int64]] = []  # of (class, answer) pairs: few of all C^2 occur
    weights: list[NDArray[np.float64]] = []
    for chosen, answers in answer_episodes(embeddings, episodes):
        shares = answers.cpu().numpy()  # (e, N, Q, N)
        classes = labels[episodes.support[chosen, :, 0]]  # (e, N)
        own = np.diagonal(shares, axis1=1, axis2=3).sum(1)  # (e, N)
        np.add.at(right, classes, own)
        np.add.at(asked, classes, float(shares.shape[2]))
        taken = shares.sum(2)  # (e, N, N): queries of the first taken for the second
        code = _pair_codes(classes, num_classes)
        is_other = ~np.eye(taken.shape[1], dtype=bool)[None]
        is_wrong = (taken > 0) & is_other
        codes.append(code[is_wrong])
        weights.append(taken[is_wrong])
    pairs = _worst(np.concatenate(codes), np.concatenate(weights), labels, episodes, num_classes)
    return Confusion(
        tuple(
            ClassScore(int(label), float(right[label] / asked[label]), int(asked[label]))
            for label in np.flatnonzero(asked)
        ),
        pairs[:num_pairs],
    )


def _pair_codes(classes: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Names the unordered pair of the classes at two places of an episode, (e, N, N)."""
    one, other = classes[:, :, None], classes[:, None, :]
    low, high = np.minimum(one, other), np.maximum(one, other)
    codes: NDArray[np.int64] = low * num_classes + high
    return codes


def _worst(
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int64],
    episodes: Episodes,
    num_classes: int,
) -> tuple[ConfusedPair, ...]:
    """Every pair with an error, worst first."""
    if len(codes) == 0:
        return ()
    pairs, index = np.unique(codes, return_inverse=True)
    errors = np.bincount(index, weights=weights)
    met = _meetings(pairs, labels, episodes, num_classes)
    queries = met * 2 * episodes.query.shape[2]  # of both classes
    rates = errors / queries
    low = _wilson_low(rates, queries)
    order = np.lexsort((pairs, -low))
    return tuple(
        ConfusedPair(
            (int(pairs[place] // num_classes), int(pairs[place] % num_classes)),
            float(rates[place]),
            int(queries[place]),
        )
        for place in order
    )


def _meetings(
    pairs: NDArray[np.int64], labels: NDArray[np.int64], episodes: Episodes, num_classes: int
) -> NDArray[np.int64]:
    """In how many episodes the classes of each pair stand together."""
    met = np.zeros(len(pairs), np.int64)
    way = episodes.support.shape[1]
    above = np.triu_indices(way, 1)
    step = max(1, 4_000_000 // (way * way))
    for start in range(0, len(episodes.support), step):
        classes = labels[episodes.support[start : start + step, :, 0]]
        found = _pair_codes(classes, num_classes)[:, above[0], above[1]].ravel()
        place = np.minimum(np.searchsorted(pairs, found), len(pairs) - 1)
        met += np.bincount(place[pairs[place] == found], minlength=len(pairs))
    return met


def _wilson_low(rate: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lower end of the Wilson 95 % interval of a share (Wilson 1927, JASA 22)."""
    z2 = Z_95 * Z_95
    centre = rate + z2 / (2 * count)
    half = Z_95 * np.sqrt(rate * (1 - rate) / count + z2 / (4 * count * count))
    low: NDArray[np.float64] = (centre - half) / (1 + z2 / count)
    return low
