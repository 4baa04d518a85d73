"""Retrieval: every image of a set asks for the others of its class.

I images, D embedding, B queries of a chunk, R other images of a query's class, T nearest kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_VALUES = 16_000_000
"""Distances held at once, 64 MB."""


@dataclass(frozen=True)
class RetrievalScores:
    """One value a query; queries are the images whose class has another image.

    Where images are equally far, the scores are the mean over every order of them, so an encoder
    that maps everything to one point gets what a blind draw would.

    Attributes:
        query: Index of each query, shape (Q,).
        recall: By k: 1 where one of the k nearest is of the query's class, shape (Q,).
        r_precision: Share of its class among its R nearest, shape (Q,).
        map_at_r: Mean over the first R places of the precision there, where that place is of its
            class, else 0; shape (Q,).
    """

    query: NDArray[np.int64]
    recall: dict[int, NDArray[np.float64]]
    r_precision: NDArray[np.float64]
    map_at_r: NDArray[np.float64]


@torch.inference_mode()
def retrieval_scores(
    embeddings: Tensor, labels: NDArray[np.int64], ks: Sequence[int] = (1, 2, 4, 8)
) -> RetrievalScores:
    """Recall@k, R-precision and MAP@R, exact, whatever the number of images.

    MAP@R = 1/R sum_{i=1..R} P(i) rel(i), P(i) the precision at i: unlike recall@1, which one near
    neighbour satisfies, it asks that the whole class lie together.

    Args:
        embeddings: (I, D), as the encoder is used (normalised or not); Euclidean distances.
        labels: (I,), class of each.
        ks: Of the recalls, each at least 1.

    Returns:
        One value a query; empty where every class has one image.

    Raises:
        ValueError: If a k is less than 1, or there are fewer than 2 images.

    Source: Musgrave, Belongie, Lim 2020: A Metric Learning Reality Check, arXiv 2003.08505,
    section 3.2. Ties are broken at random there, and counted by their expectation here.
    """
    if len(embeddings) < 2:
        raise ValueError(f"embeddings must have at least 2 rows, got {len(embeddings)}")
    if min(ks) < 1:
        raise ValueError(f"ks must be >= 1, got {min(ks)}")
    device = embeddings.device
    # Equal embeddings become exact zeros: see score_episodes.
    points = (embeddings - embeddings[:1]).float()
    squares = points.square().sum(1)  # (I,)
    classes = torch.from_numpy(np.ascontiguousarray(labels)).to(device)
    counts = torch.bincount(classes)
    query = torch.nonzero(counts[classes] > 1).flatten()  # (Q,)
    most = int(counts.max()) - 1
    num_kept = min(len(points) - 1, max(most, *ks))
    parts: list[Tensor] = []
    for chunk in query.split(max(1, CHUNK_VALUES // len(points))):
        # d^2 up to |q|^2, the same for all of a query's row.
        distances = torch.addmm(squares, points[chunk], points.T, alpha=-2.0)  # (B, I)
        distances.scatter_(1, chunk[:, None], torch.inf)
        is_same = classes[chunk][:, None] == classes[None, :]  # (B, I)
        is_same.scatter_(1, chunk[:, None], False)
        parts.append(_chunk_scores(distances, is_same, num_kept, ks))
    values = (
        torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(ks) + 2), np.float64)
    )  # (Q, ks + 2)
    return RetrievalScores(
        query=query.cpu().numpy(),
        recall={k: values[:, place] for place, k in enumerate(ks)},
        r_precision=values[:, -2],
        map_at_r=values[:, -1],
    )


def _chunk_scores(distances: Tensor, is_same: Tensor, num_kept: int, ks: Sequence[int]) -> Tensor:
    """Recalls, R-precision and MAP@R of some queries, shape (B, ks + 2)."""
    near, order = distances.topk(num_kept, dim=1, largest=False, sorted=True)  # (B, T)
    same = is_same.gather(1, order).double()
    ties = _ties(near, same, distances, is_same)
    num_same = is_same.sum(1).double()  # (B,), R
    place = torch.arange(num_kept, device=near.device)[None, :]
    is_counted = (place < num_same[:, None]).double()
    # At place j (from 0) of a group of g ties, h of them of the class, p of it before the group.
    is_right = ties.same / ties.size  # E[rel]
    among = (ties.same - 1).clamp_min(0.0) / (ties.size - 1).clamp_min(1.0)
    so_far = ties.before + 1 + ties.place * among  # E[relevant up to here | rel]
    precision = is_right * so_far / (place + 1)
    recalls = [_hit_within(ties, min(k, num_kept)) for k in ks]
    return torch.stack(
        [
            *recalls,
            (is_right * is_counted).sum(1) / num_same,
            (precision * is_counted).sum(1) / num_same,
        ],
        dim=1,
    )


@dataclass(frozen=True)
class _Ties:
    """The group of equally far images that each of the nearest places belongs to, (B, T) each."""

    size: Tensor
    same: Tensor  # of the query's class
    before: Tensor  # of its class, nearer than the group
    place: Tensor  # within the group, from 0


def _ties(near: Tensor, same: Tensor, distances: Tensor, is_same: Tensor) -> _Ties:
    num_rows, num_kept = near.shape
    starts = torch.ones_like(near, dtype=torch.bool)
    starts[:, 1:] = near[:, 1:] != near[:, :-1]
    group = starts.cumsum(1) - 1  # (B, T)
    zeros = torch.zeros(num_rows, num_kept, dtype=torch.float64, device=near.device)
    size = zeros.scatter_add(1, group, torch.ones_like(same))
    num_same = zeros.scatter_add(1, group, same)
    # The last group may go on beyond what was kept.
    is_last = distances == near[:, -1:]
    last = group[:, -1:]
    size.scatter_(1, last, is_last.sum(1, keepdim=True).double())
    num_same.scatter_(1, last, (is_last & is_same).sum(1, keepdim=True).double())
    before = num_same.cumsum(1) - num_same
    index = torch.arange(num_kept, device=near.device).expand(num_rows, -1)
    first = torch.where(starts, index, 0).cummax(1).values
    return _Ties(
        size.gather(1, group),
        num_same.gather(1, group),
        before.gather(1, group),
        (index - first).double(),
    )


def _hit_within(ties: _Ties, k: int) -> Tensor:
    """Probability that one of the k nearest is of the class, (B,)."""
    size, same, drawn = (
        ties.size[:, k - 1],
        ties.same[:, k - 1],
        ties.place[:, k - 1] + 1,
    )
    others = size - same
    # None of `drawn` out of `size`: C(others, drawn) / C(size, drawn).
    miss = torch.exp(
        torch.lgamma(others + 1)
        - torch.lgamma((others - drawn).clamp_min(0.0) + 1)
        - torch.lgamma(size + 1)
        + torch.lgamma(size - drawn + 1)
    )
    # Where few are drawn the quotient is exact to rounding; one draw is the plain share.
    miss = torch.where(drawn == 1, others / size, miss)
    miss = torch.where(others < drawn, 0.0, miss)
    return torch.where(ties.before[:, k - 1] > 0, 1.0, 1.0 - miss)
