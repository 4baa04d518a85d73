"""Frozen one-shot episodes: the same list, by hash, for every trial of a study.

E episodes, N way, K shot, Q queries a class, C classes, G groups, M most images of a class,
D embedding, I images.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..spaces import EvaluationConfig
from .data import ImageSet
from .threads import one_thread

CHUNK_VALUES = 4_000_000
"""Floats of support, queries and distances held at once while scoring, 16 MB; an episode that
needs more is scored alone. Smaller is no faster, and much larger leaves the processor's cache."""

FEW_ROWS = 2_000_000
"""Embeddings gathered by a whole list, up to which one thread scores it: the chunks are so short
that threads which wait for each other on a busy machine cost ten times what they save."""


Stream = Literal["search", "reserve", "confirm", "test"]
"""What a list of episodes is for. Each has draws of its own from the same seed: a model that the
search chose on its list is confirmed on another, or the luck of the first would count twice."""


@dataclass(frozen=True)
class Episodes:
    """Support and query images of every episode.

    The classes of an episode stand in random order, so the right answer has no fixed place.

    Attributes:
        support: Index of each support image, shape (E, N, K).
        query: Index of each query image; row n is of class n, shape (E, N, Q).
    """

    support: np.ndarray
    query: np.ndarray

    @property
    def digest(self) -> str:
        """Hash of the list: 12 hexadecimal digits of its SHA-256."""
        sha = hashlib.sha256()
        for part in (self.support, self.query):
            sha.update(str(part.shape).encode())
            sha.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
        return sha.hexdigest()[:12]


def draw_episodes(
    data: ImageSet, config: EvaluationConfig, *, stream: Stream = "search"
) -> Episodes:
    """Episodes over the classes of a set, drawn from the configuration's seed.

    Within groups, every group with enough classes is as likely as any other. Support and query
    images of a class are different images.

    Args:
        data: Validation images, sorted by class.
        config: N, K, Q, E, and whether an episode stays within one group.
        stream: What the list is for. That of a search is drawn from `config.seed` itself, the
            others from (`config.seed`, SHA-256 of the stream's name).

    Returns:
        The episodes; they depend on the class sizes and the seed, not on the pixels.

    Raises:
        ValueError: If no group (or the set) has N classes of K + Q images.
    """
    random = np.random.default_rng(_entropy(config.seed, stream))
    counts = np.bincount(data.labels, minlength=data.num_classes)
    starts = np.cumsum(counts) - counts
    per_class = config.shot + config.queries
    usable = counts >= per_class  # (C,)
    group = data.group_of_class if config.within == "group" else np.zeros_like(counts)
    sizes = np.bincount(group[usable], minlength=int(group.max()) + 1)  # (G,)
    eligible = np.flatnonzero(sizes >= config.way)
    if len(eligible) == 0:
        where = "any validation group" if config.within == "group" else "the validation classes"
        raise ValueError(
            f"evaluation.way must be <= {sizes.max()}, the most classes of {where} with at least "
            f"shot + queries = {per_class} images, got way={config.way}; lower it, or widen "
            + ("evaluation.within to any" if config.within == "group" else "data.split.validation")
        )
    chosen = random.choice(eligible, size=config.episodes)  # (E,)
    keys = random.random((config.episodes, len(counts)))  # (E, C)
    keys[~(usable & (group == chosen[:, None]))] = np.inf
    classes = np.argsort(keys, axis=1)[:, : config.way]  # (E, N)
    keys = random.random((config.episodes, config.way, int(counts.max())))  # (E, N, M)
    keys[np.arange(keys.shape[2]) >= counts[classes][..., None]] = np.inf
    images = starts[classes][..., None] + np.argsort(keys, axis=2)[..., :per_class]
    return Episodes(support=images[..., : config.shot], query=images[..., config.shot :])


def _entropy(seed: int, stream: Stream) -> int | list[int]:
    if stream == "search":
        return seed
    return [seed, int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big")]


def score_episodes(embeddings: Tensor, episodes: Episodes) -> np.ndarray:
    """Share of the queries of each episode whose nearest class mean is their own.

    Distances are Euclidean, which on unit vectors ranks as cosine similarity does. Where k classes
    are equally near and the right one is among them, the query counts 1/k: an encoder that maps
    everything to one point scores exactly 1/N.

    Args:
        embeddings: Of all images, as the encoder is used (normalised or not), shape (I, D). Of
            uint8, they are pixels and count as value / 255; they may be mapped from a file.
        episodes: The frozen list.

    Returns:
        Accuracy of each episode in [0, 1], float64, shape (E,).
    """
    scores = [
        # Row n answers for class n.
        shares.diagonal(dim1=1, dim2=3).mean((1, 2))
        for _, shares in answer_episodes(embeddings, episodes)
    ]
    return torch.cat(scores).cpu().numpy()


def answer_episodes(embeddings: Tensor, episodes: Episodes) -> Iterator[tuple[slice, Tensor]]:
    """What each query is taken for, a part of the list at a time.

    Args:
        embeddings: As for `score_episodes`.
        episodes: The frozen list.

    Yields:
        Which episodes, and the share of each answer that goes to each class: 1 to the nearest,
        1/k to each of k that are equally near; float64, shape (e, N, Q, N), the last the answer.
    """
    # Distances do not change under a shift; after this one, equal embeddings are exact zeros, so
    # that ties are exact whatever order the matrix product sums in.
    origin = None  # of pixels, whose floats would take four times their memory: see _take
    if embeddings.dtype == torch.uint8:
        origin = embeddings[:1].float().div_(255.0)
    else:
        embeddings = (embeddings - embeddings[:1]).float()
    support = torch.from_numpy(episodes.support).to(embeddings.device)
    query = torch.from_numpy(episodes.query).to(embeddings.device)
    is_small = support.numel() + query.numel() <= FEW_ROWS
    num_episodes, way, num_queries = query.shape
    values = way * ((support.shape[2] + num_queries) * embeddings.shape[1] + num_queries * way)
    size = max(1, CHUNK_VALUES // values)
    for start in range(0, num_episodes, size):
        chosen = slice(start, start + size)
        if embeddings.device.type == "cpu" and is_small:
            with one_thread():
                shares = _shares(embeddings, support[chosen], query[chosen], origin)
        else:
            shares = _shares(embeddings, support[chosen], query[chosen], origin)
        yield chosen, shares


def _shares(embeddings: Tensor, support: Tensor, query: Tensor, origin: Tensor | None) -> Tensor:
    _, way, num_queries = query.shape
    means = _take(embeddings, support, origin).mean(2)  # (e, N, D)
    queries = _take(embeddings, query, origin).flatten(1, 2)  # (e, N * Q, D)
    # -d^2 / 2 up to |q|^2 / 2, which is the same for all classes of a query.
    half = means.square().sum(2)[:, None, :]  # (e, 1, N)
    nearness = torch.baddbmm(half, queries, means.mT, beta=-0.5)  # (e, N * Q, N)
    is_nearest = nearness == nearness.amax(2, keepdim=True)
    shares = is_nearest.double() / is_nearest.sum(2, keepdim=True)
    return shares.view(-1, way, num_queries, way)


def _take(embeddings: Tensor, index: Tensor, origin: Tensor | None) -> Tensor:
    """Rows of (I, D) at an index of any shape; pixels as floats less those of the origin."""
    # Ten times as fast as embeddings[index] on a processor.
    rows = embeddings.index_select(0, index.flatten())
    if origin is not None:
        rows = rows.float().div_(255.0).sub_(origin)
    return rows.view(*index.shape, -1)
