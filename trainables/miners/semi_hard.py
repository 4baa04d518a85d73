"""The other meanings of "semi-hard": one negative for each positive of an anchor.

Letters: B anchors, R references, S positive slots of an anchor.

They share the band 0 < d_an - d_ap < margin and differ in what they take of it, and in what they
do where it is empty. Slots are worked one after another, so that no (B, S, R) is ever held.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .mined import Candidates, Triplets, draw
from .rules import in_band

Choice = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of the gaps (B, R) and the random numbers (B,) of a slot: the negative of each anchor and
whether there is one, both (B, 1)."""


def mine_semi_hard_or_hardest(candidates: Candidates) -> Triplets:
    """The nearest negative of the band; where it is empty, the nearest of all.

    Source: Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832, section 3.2, with the hardest
    negative that is available, as FaceNet is often read.
    """
    is_in_band = in_band(candidates.margin)

    def choose(gaps: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        in_reach = candidates.is_negative & is_in_band(gaps)
        nearest = gaps.masked_fill(~in_reach, torch.inf).argmin(1, True)
        hardest = gaps.masked_fill(~candidates.is_negative, torch.inf).argmin(1, True)
        return torch.where(in_reach.any(1, True), nearest, hardest), candidates.has_both

    return _slot_by_slot(candidates, choose)


def mine_semi_hard_random(candidates: Candidates) -> Triplets:
    """A random negative of the band; where it is empty, none.

    Source: the program siamese-triplet, `SemihardNegativeTripletSelector`.
    """
    is_in_band = in_band(candidates.margin)

    def choose(gaps: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        return draw(candidates.is_negative & is_in_band(gaps), uniform)

    return _slot_by_slot(candidates, choose)


def mine_semi_hard_random_or_any(candidates: Candidates) -> Triplets:
    """A random negative of the band; where it is empty, any random negative.

    Source: Roth et al. 2020: Revisiting Training Strategies and Generalization Performance in Deep
    Metric Learning, arXiv 2002.08473, as in its program.
    """
    is_in_band = in_band(candidates.margin)

    def choose(gaps: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        semi_hard, has_semi_hard = draw(candidates.is_negative & is_in_band(gaps), uniform)
        other, has_other = draw(candidates.is_negative, uniform)
        return torch.where(has_semi_hard, semi_hard, other), has_other

    return _slot_by_slot(candidates, choose)


def mine_semi_hard_nearest_or_farthest(candidates: Candidates) -> Triplets:
    """The nearest negative farther than the positive; where there is none, the farthest negative.

    Source: the programs TensorFlow Addons and sentence-transformers (semi-hard triplet losses).
    """

    def choose(gaps: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        is_farther = candidates.is_negative & (gaps > 0.0)
        nearest = gaps.masked_fill(~is_farther, torch.inf).argmin(1, True)
        farthest = gaps.masked_fill(~candidates.is_negative, -torch.inf).argmax(1, True)
        return torch.where(is_farther.any(1, True), nearest, farthest), candidates.has_both

    return _slot_by_slot(candidates, choose)


def _slot_by_slot(candidates: Candidates, choose: Choice) -> Triplets:
    positive = candidates.positive_distances  # (B, S)
    chosen, found = [], []
    for slot in range(positive.shape[1]):
        gaps = candidates.distances - positive[:, slot, None]  # (B, R)
        index, is_there = choose(gaps, candidates.uniform[:, slot])
        chosen.append(index)
        found.append(is_there)
    is_candidate = candidates.is_positive & candidates.is_negative.any(1, True)
    return Triplets.chosen(
        candidates,
        candidates.positive_index,
        torch.cat(chosen, 1),
        is_candidate & torch.cat(found, 1),
        is_candidate,
    )
