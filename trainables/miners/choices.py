"""The miners that choose one triplet for each anchor.

Letters: B anchors, R references, S positive slots of an anchor.

All of them drop an anchor without a positive or without a negative, and take the first of a tie in
the order of the references. The random ones, with `mine_batch_hard`, are those of a recogniser of
mushrooms for an open world, which mined over all training images: they work on a batch and on an
embedding bank alike.
"""

import torch
from torch import Tensor

from .mined import Candidates, Triplets, draw


def mine_batch_hard(candidates: Candidates) -> Triplets:
    """The farthest positive with the nearest negative.

    Source: Hermans, Beyer, Leibe 2017, arXiv 1703.07737, equation 5.
    """
    return _kept(candidates, _farthest_positive(candidates), _nearest_negative(candidates))


def mine_batch_easy(candidates: Candidates) -> Triplets:
    """The nearest positive with the farthest negative: easy positive, easy negative.

    Source: Xuan, Stylianou, Pless 2020: Improved Embeddings with Easy Positive Triplet Mining,
    arXiv 1904.04370, section 3.
    """
    is_negative = candidates.is_negative
    farthest = candidates.distances.masked_fill(~is_negative, -torch.inf).argmax(1, True)
    return _kept(candidates, _nearest_positive(candidates), farthest)


def mine_easy_positive_hard(candidates: Candidates) -> Triplets:
    """The nearest positive with the nearest negative.

    Source: Xuan, Stylianou, Pless 2020, arXiv 1904.04370, section 3.
    """
    return _kept(candidates, _nearest_positive(candidates), _nearest_negative(candidates))


def mine_easy_positive_semi_hard(candidates: Candidates) -> Triplets:
    """The nearest positive with the nearest negative farther than it.

    "Semi-hard" has no upper bound here, as in the paper: an anchor is dropped only where no
    negative at all is farther than its nearest positive.

    Source: Xuan, Stylianou, Pless 2020, arXiv 1904.04370, section 3.
    """
    positive = _nearest_positive(candidates)
    threshold = candidates.distances.gather(1, positive)
    is_farther = candidates.is_negative & (candidates.distances > threshold)
    nearest = candidates.distances.masked_fill(~is_farther, torch.inf).argmin(1, True)
    return Triplets.chosen(
        candidates,
        positive,
        nearest,
        candidates.has_both & is_farther.any(1, True),
        candidates.has_both,
    )


def mine_random(candidates: Candidates) -> Triplets:
    """A random positive with a random negative."""
    negative, _ = draw(candidates.is_negative, candidates.uniform[:, 0])
    return _kept(candidates, _random_positive(candidates), negative)


def mine_random_positive_hard(candidates: Candidates) -> Triplets:
    """A random positive with the nearest negative."""
    return _kept(candidates, _random_positive(candidates), _nearest_negative(candidates))


def mine_random_positive_semi_hard(candidates: Candidates) -> Triplets:
    """A random positive with a random negative of d_ap <= d_an < d_ap + margin, else with any."""
    positive = _random_positive(candidates)
    gap = candidates.distances - candidates.distances.gather(1, positive)  # (B, R)
    in_band = candidates.is_negative & (gap >= 0.0) & (gap < candidates.margin)
    semi_hard, has_semi_hard = draw(in_band, candidates.uniform[:, 0])
    other, _ = draw(candidates.is_negative, candidates.uniform[:, 0])
    return _kept(candidates, positive, torch.where(has_semi_hard, semi_hard, other))


def mine_mixed(candidates: Candidates) -> Triplets:
    """A random positive with the anchor's negative that is nearest to that positive."""
    positive = _random_positive(candidates)
    distances = candidates.distances_from(positive.squeeze(1))  # (B, R)
    nearest = distances.masked_fill(~candidates.is_negative, torch.inf).argmin(1, True)
    return _kept(candidates, positive, nearest)


def _kept(candidates: Candidates, positive: Tensor, negative: Tensor) -> Triplets:
    return Triplets.chosen(candidates, positive, negative, candidates.has_both)


def _nearest_negative(candidates: Candidates) -> Tensor:
    return candidates.distances.masked_fill(~candidates.is_negative, torch.inf).argmin(1, True)


def _nearest_positive(candidates: Candidates) -> Tensor:
    filled = candidates.positive_distances.masked_fill(~candidates.is_positive, torch.inf)
    return candidates.positive_index.gather(1, filled.argmin(1, True))


def _farthest_positive(candidates: Candidates) -> Tensor:
    filled = candidates.positive_distances.masked_fill(~candidates.is_positive, -torch.inf)
    return candidates.positive_index.gather(1, filled.argmax(1, True))


def _random_positive(candidates: Candidates) -> Tensor:
    slot, _ = draw(candidates.is_positive, candidates.uniform[:, -1])
    return candidates.positive_index.gather(1, slot)
