"""The deterministic miners.

Letters: B batch, S positive slots of an anchor.

All of them drop an anchor without a positive or without a negative, and take the first of a tie in
the order of the batch.
"""

import torch
from torch import Tensor

from .mined import Candidates, Triplets


def mine_all(candidates: Candidates) -> Triplets:
    """Every triplet of the batch, (B, S, B).

    Source: Hermans, Beyer, Leibe 2017, arXiv 1703.07737, equation 6 (batch all).
    """
    mask = _all_triplets(candidates)
    return Triplets(candidates.positive_index, None, mask, mask.sum())


def mine_semi_hard(candidates: Candidates) -> Triplets:
    """Every triplet of the band 0 < d_an - d_ap < margin, (B, S, B).

    The negative is farther than the positive, by less than the margin. An empty band gives no
    triplet; FaceNet, which leaves the case open, is often read as taking the hardest one instead.

    Source: Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832, section 3.2, equation 4.
    """
    is_candidate = _all_triplets(candidates)
    gap = candidates.distances[:, None, :] - candidates.positive_distances[:, :, None]  # (B, S, B)
    mask = is_candidate & (gap > 0.0) & (gap < candidates.margin)
    return Triplets(candidates.positive_index, None, mask, is_candidate.sum())


def mine_batch_hard(candidates: Candidates) -> Triplets:
    """Per anchor the farthest positive with the nearest negative, (B, 1, 1).

    Source: Hermans, Beyer, Leibe 2017, arXiv 1703.07737, equation 5.
    """
    is_empty = ~candidates.is_positive
    farthest = candidates.positive_distances.masked_fill(is_empty, -torch.inf).argmax(1, True)
    nearest = candidates.distances.masked_fill(~candidates.is_negative, torch.inf).argmin(1, True)
    mask = candidates.is_positive.any(1) & candidates.is_negative.any(1)  # (B,)
    return Triplets(
        candidates.positive_index.gather(1, farthest), nearest, mask[:, None, None], mask.sum()
    )


def mine_easy_positive_semi_hard(candidates: Candidates) -> Triplets:
    """Per anchor the nearest positive with the nearest negative farther than it, (B, 1, 1).

    "Semi-hard" has no upper bound here, as in the paper: an anchor is dropped only where no
    negative at all is farther than its nearest positive.

    Source: Xuan, Stylianou, Pless 2020: Improved Embeddings with Easy Positive Triplet Mining,
    arXiv 1904.04370, section 3.
    """
    distances = candidates.distances
    positive_distances = candidates.positive_distances.masked_fill(
        ~candidates.is_positive, torch.inf
    )
    easiest = positive_distances.argmin(1, True)  # (B, 1)
    is_farther = candidates.is_negative & (distances > positive_distances.gather(1, easiest))
    nearest = distances.masked_fill(~is_farther, torch.inf).argmin(1, True)
    has_positive = candidates.is_positive.any(1)  # (B,)
    mask = has_positive & is_farther.any(1)
    return Triplets(
        candidates.positive_index.gather(1, easiest),
        nearest,
        mask[:, None, None],
        (has_positive & candidates.is_negative.any(1)).sum(),
    )


def _all_triplets(candidates: Candidates) -> Tensor:
    return candidates.is_positive[:, :, None] & candidates.is_negative[:, None, :]  # (B, S, B)
