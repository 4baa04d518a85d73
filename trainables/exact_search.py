"""The nearest images to a query, and the nearest of another name, over all of a gallery.

N images, Q queries, D embedding, K candidates.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .threads import one_thread

QUERIES_AT_ONCE = 128
BLOCK = 64
"""Images whose smallest distance is compared first: the K nearest lie in the K nearest blocks, and
reading the distances once is faster than sorting them."""
AT_ONCE = 64 * BLOCK
"""Images whose distances to the queries are held at once, 2 MB: they stay in the cache."""
CANDIDATES = 16
"""Images whose distances are computed again in float64: the product of matrices that finds them
is off by 1e-3 where two images are the same."""


@dataclass(frozen=True)
class Found:
    """The two nearest owners to each query.

    Attributes:
        owner: int64, shape (Q,).
        distance: To its nearest image, float64, shape (Q,).
        runner_up: The next other owner, or -1 where there is none; int64, shape (Q,).
        runner_up_distance: To its nearest image, or infinity.
    """

    owner: NDArray[np.int64]
    distance: NDArray[np.float64]
    runner_up: NDArray[np.int64]
    runner_up_distance: NDArray[np.float64]


@one_thread()
def search(
    queries: NDArray[np.float32], images: NDArray[np.float32], owners: NDArray[np.int64]
) -> Found:
    """The nearest owner to each query and the next other one; of equal ones, the first image's.

    Args:
        queries: Shape (Q, D), Q >= 1.
        images: Shape (N, D), N >= 1.
        owners: Of the images, shape (N,).
    """
    places = torch.from_numpy(owners)
    num_padded = -len(images) % BLOCK
    padded = torch.nn.functional.pad(torch.from_numpy(images), (0, 0, 0, num_padded))
    squares = padded.square().sum(1)  # (N',)
    squares[len(images) :] = torch.inf
    has_others = bool((places != places[0]).any())
    parts = []
    for part in torch.from_numpy(np.ascontiguousarray(queries)).split(QUERIES_AT_ONCE):
        index, distance = _nearest(part, padded, squares)  # (Q, K)
        owner = places[index]
        is_other = (owner != owner[:, :1]) & distance.isfinite()
        at = is_other.byte().argmax(1, keepdim=True)  # the first
        runner_up = torch.where(is_other.any(1), owner.gather(1, at)[:, 0], -1)
        runner_up_distance = torch.where(runner_up >= 0, distance.gather(1, at)[:, 0], torch.inf)
        # Of a name with many images near, all candidates may be its own.
        for row in (runner_up < 0).nonzero()[:, 0].tolist() if has_others else ():
            left = squares.clone()
            left[: len(images)][places == owner[row, 0]] = torch.inf
            others, distances = _nearest(part[row : row + 1], padded, left)
            runner_up[row], runner_up_distance[row] = places[others[0, 0]], distances[0, 0]
        parts.append((owner[:, 0], distance[:, 0], runner_up, runner_up_distance))
    return Found(*(torch.cat(columns).numpy() for columns in zip(*parts, strict=True)))


def _nearest(queries: Tensor, images: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """The K nearest images, by distance and then by index: indices and distances, (Q, K).

    Args:
        queries: Shape (Q, D).
        images: Shape (N', D), N' a multiple of the block.
        squares: Of their norms, infinite where an image does not count, shape (N',).
    """
    minima = torch.cat(
        [
            # d^2 up to |q|^2, which is the same for all images.
            torch.addmm(square, queries, part.T, beta=1.0, alpha=-2.0)
            .view(len(queries), -1, BLOCK)
            .amin(2)
            for part, square in zip(images.split(AT_ONCE), squares.split(AT_ONCE), strict=True)
        ],
        dim=1,
    )  # (Q, N' / block)
    few = min(CANDIDATES, minima.shape[1])
    blocks = minima.topk(few, dim=1, largest=False).indices.sort(dim=1).values  # (Q, B)
    index = (blocks[:, :, None] * BLOCK + torch.arange(BLOCK)).flatten(1)  # (Q, B * block)
    # Whole blocks, copied as they lie: single images would be fetched from all over the memory.
    near = images.view(len(squares) // BLOCK, -1).index_select(0, blocks.flatten())
    far = torch.baddbmm(
        squares[index][:, :, None],
        near.view(len(queries), few * BLOCK, -1),
        queries[:, :, None],
        beta=1.0,
        alpha=-2.0,
    )[..., 0]
    values, at = far.topk(CANDIDATES, dim=1, largest=False)
    at, order = at.sort(dim=1)
    index, does_count = index.gather(1, at), values.gather(1, order).isfinite()
    # Where fewer images count than there are candidates, the first one stands for the rest.
    index = torch.where(does_count, index, 0)
    gaps = images[index].double() - queries[:, None].double()  # (Q, K, D)
    distance = torch.linalg.vector_norm(gaps, dim=2).masked_fill(~does_count, torch.inf)
    distance, order = distance.sort(dim=1, stable=True)
    return index.gather(1, order), distance
