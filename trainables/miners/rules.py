"""The miners that keep every triplet which passes a test, and the multi-similarity pairs.

Letters: B anchors, R references, S positive slots of an anchor.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .mined import Candidates, Pairs, Rule, Triplets


def mine_all(candidates: Candidates) -> Triplets:
    """Every triplet.

    Source: Hermans, Beyer, Leibe 2017, arXiv 1703.07737, equation 6 (batch all).
    """
    return _passing(candidates, None)


def mine_hard(candidates: Candidates) -> Triplets:
    """Every triplet whose negative is not farther than its positive: d_an <= d_ap.

    Source: Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832, section 3.2.
    """
    return _passing(candidates, lambda gap: gap <= 0.0)


def mine_semi_hard(candidates: Candidates) -> Triplets:
    """Every triplet of the band 0 < d_an - d_ap < margin.

    The negative is farther than the positive, by less than the margin. An empty band gives no
    triplet; what others do then are the miners of `semi_hard.py`.

    Source: Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832, section 3.2, equation 4.
    """
    return _passing(candidates, in_band(candidates.margin))


def mine_easy(candidates: Candidates) -> Triplets:
    """Every triplet whose negative is farther than its positive by more than the margin.

    A hinge loss of the same margin is 0 on all of them: this miner is for losses without one.

    Source: pytorch-metric-learning, `TripletMarginMiner(type_of_triplets="easy")`.
    """
    return _passing(candidates, lambda gap: gap > candidates.margin)


def in_band(margin: float) -> Callable[[Tensor], Tensor]:
    """Whether a gap d_an - d_ap is above 0 and below the margin."""
    return lambda gap: (gap > 0.0) & (gap < margin)


def mine_multi_similarity(similarities: Tensor, pairs: Pairs, epsilon: float) -> Pairs:
    """The pairs that are harder than the other kind's hardest, less epsilon.

    A positive p of anchor i is kept if s_ip - epsilon < max_n s_in, a negative n if
    s_in + epsilon > min_p s_ip. An anchor that lacks one kind keeps none of the other.

    Args:
        similarities: (B, R), cosines, detached.
        pairs: All of the batch.
        epsilon: >= 0.

    Source: Wang, Han, Huang, Dong, Scott 2019, arXiv 1904.06627, equations 11 and 12.
    """
    to_positives = similarities.gather(1, pairs.positive_index)  # (B, S)
    farthest = to_positives.masked_fill(~pairs.is_positive, torch.inf).amin(1, True)  # (B, 1)
    nearest = similarities.masked_fill(~pairs.negatives, -torch.inf).amax(1, True)
    return Pairs(
        pairs.positive_index,
        pairs.is_positive & (to_positives < nearest + epsilon),
        pairs.negatives & (similarities > farthest - epsilon),
    )


def _passing(candidates: Candidates, rule: Rule | None) -> Triplets:
    num_positives = candidates.is_positive.sum(1)
    num_negatives = candidates.is_negative.sum(1)
    return Triplets(
        candidates.positive_index,
        None,
        candidates.is_positive,
        candidates.is_negative,
        rule,
        (num_positives * num_negatives).sum(),
    )
