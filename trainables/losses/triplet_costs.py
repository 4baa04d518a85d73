"""The mean of a cost over the triplets of a batch, without ever holding all of them.

Letters: B anchors, R references, S positive slots of an anchor, s slots worked at a time.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ...spaces.facts import Distance
from ..items import Items
from ..measured import Measured
from ..miners import Setting, Triplets
from .output import LossOutput, mean_where, value_with_gradient

CHUNK = 2**20
"""Triplets worked at a time: their few temporary arrays then fit a processor's cache."""

Cost = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Of the gaps d_an - d_ap: the cost of each triplet, and how fast it falls with the gap (>= 0)."""

Reduction = Literal["active", "all"]


def mean_over_triplets(
    items: Items,
    setting: Setting,
    cost: Cost,
    *,
    distance: Distance,
    unit_norm: bool,
    reduction: Reduction = "all",
    swap: bool = False,
) -> LossOutput:
    """The mean cost of the triplets that the miner keeps.

    Args:
        items: The batch.
        setting: Holds the miner.
        cost: Of one triplet, by its gap.
        distance: Between embeddings.
        unit_norm: Whether they are normalised first.
        reduction: Whether the mean is over the triplets with a cost, or over all that are kept.
        swap: Whether a negative's distance to the positive takes the place of that to the anchor
            where it is smaller; needs references that are the batch itself.
    """
    measured = Measured.of(items, distance, unit_norm=unit_norm)
    distances = measured.matrix(setting.num_chosen)  # (B, R)
    triplets = setting.mine_triplets(distances, items)
    if triplets.negative_index is None:
        return _of_all(distances, triplets, cost, reduction, swap)
    both = torch.cat([triplets.positive_index, triplets.negative_index], 1)  # (B, 2S)
    positive, negative = measured.between(both, distances).chunk(2, 1)
    if swap:
        negative = torch.minimum(
            negative,
            measured.between_references(triplets.positive_index, triplets.negative_index),
        )
    costs, _ = cost(negative - positive)  # (B, S)
    is_active = triplets.is_kept & (costs > 0.0)
    num_active = is_active.sum()
    value = mean_where(is_active if reduction == "active" else triplets.is_kept, costs)
    return LossOutput(value, num_active / triplets.num_candidates.clamp_min(1), num_active)


def _of_all(
    distances: Tensor, triplets: Triplets, cost: Cost, reduction: Reduction, swap: bool
) -> LossOutput:
    """The mean over every triplet that passes the miner's rule.

    A cost depends on its gap alone, so the gradient by each distance is a sum of slopes. It is
    added up with the costs: what is kept is (B, R), where a recorded graph would be (B, S, R).
    """
    with torch.no_grad():
        # What is no triplet has an infinite gap, which no cost reaches.
        far = distances.masked_fill(~triplets.is_negative, torch.inf)  # (B, R)
        near = distances.gather(1, triplets.positive_index)  # (B, S)
        near.masked_fill_(~triplets.is_kept, -torch.inf)
        step = max(1, CHUNK // distances.numel())
        gradient = torch.zeros_like(distances)
        total = distances.new_zeros(())
        num_kept = num_active = torch.zeros((), dtype=torch.int64, device=distances.device)
        for start in range(0, near.shape[1], step):
            slots = slice(start, start + step)
            index = triplets.positive_index[:, slots]  # (B, s)
            gaps = far.unsqueeze(1) - near[:, slots, None]  # (B, s, R)
            is_dropped = None if triplets.rule is None else ~triplets.rule(gaps)
            if swap:
                gaps, is_swapped = _smaller(gaps, far[index] - near[:, slots, None])
            if is_dropped is not None:
                gaps.masked_fill_(is_dropped, torch.inf)
            if reduction == "all":
                num_kept = num_kept + (gaps < torch.inf).sum()
            costs, slopes = cost(gaps)
            total = total + costs.sum()
            num_active = num_active + torch.count_nonzero(costs)
            gradient.scatter_add_(1, index, slopes.sum(2))
            if swap:
                swapped = slopes.masked_fill(~is_swapped, 0.0)
                gradient.index_add_(0, index.flatten(), swapped.flatten(0, 1), alpha=-1.0)
                slopes.masked_fill_(is_swapped, 0.0)
            gradient.sub_(slopes.sum(1))
        count = (num_active if reduction == "active" else num_kept).clamp_min(1)
        value, gradient = total / count, gradient.div_(count)
        share = num_active / triplets.num_candidates.clamp_min(1)
    return LossOutput(value_with_gradient(value, distances, gradient), share, num_active)


def _smaller(gaps: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The smaller of two gaps, and where it is the other one."""
    return torch.minimum(gaps, others), others < gaps
