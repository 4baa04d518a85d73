"""Smooth average precision.

Letters: B anchors (queries), R references, S positive slots of an anchor.
"""

import torch
from torch import Tensor, nn

from ...spaces import SmoothAP as SmoothAPConfig
from ..distances import cosine_similarities
from ..items import Items
from ..miners import Setting, slots_of
from .output import LossOutput, value_with_gradient


class SmoothAP(nn.Module):
    """Smooth average precision: every item of the batch ranks the others.

    L = mean over anchors i of 1 - mean over p in P(i) of
        (1 + sum_{q in P(i), q != p} g(s_iq - s_ip)) / (1 + sum_{k != p} g(s_ik - s_ip))
    g(x) = 1 / (1 + exp(-x/T))

    The fraction is the rank of p among the positives over its rank among all; g stands for the
    step that a rank is made of. Anchors without a positive are left out.

    Source: Brown, Xie, Kalogeiton, Zisserman 2020: Smooth-AP: Smoothing the Path Towards
    Large-Scale Image Retrieval, arXiv 2007.12163, equations 5 and 6. Their program also ranks the
    query among its own results (`count_query`), where it comes first and moves all others down.
    """

    def __init__(self, config: SmoothAPConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        similarities = cosine_similarities(items.anchors, items.references)  # (B, R)
        with torch.no_grad():
            terms, gradient, has_positive = self._over_slots(similarities, items)
            count = has_positive.sum().clamp_min(1)
            value, gradient = terms.sum() / count, gradient.div_(count)
            num_active = (terms > 0.0).sum()
        return LossOutput(
            value_with_gradient(value, similarities, gradient), num_active / count, num_active
        )

    def _over_slots(self, similarities: Tensor, items: Items) -> tuple[Tensor, Tensor, Tensor]:
        """1 - AP of each query, its gradient by the similarities, and which count."""
        temperature = self.config.temperature
        index, is_there = slots_of(items, self.setting.max_positives)  # (B, S)
        has_positive = is_there.any(1)  # (B,)
        is_relevant, is_ranked = items.is_same_class(), items.is_other()  # (B, R)
        is_relevant.fill_diagonal_(self.config.count_query)
        if self.config.count_query:
            is_ranked.fill_diagonal_(True)
            itself = torch.arange(len(index), device=index.device)
            index = torch.cat([index, itself[:, None]], 1)
            is_there = torch.cat([is_there, has_positive[:, None]], 1)
        num_positives = is_there.sum(1, True).clamp_min(1)
        weight = is_there.to(similarities.dtype) / num_positives  # (B, S), of each positive
        precision = similarities.new_zeros(len(similarities))
        gradient = torch.zeros_like(similarities)
        for slot in range(index.shape[1]):
            positive = index[:, slot, None]  # (B, 1)
            ahead = torch.sigmoid(
                (similarities - similarities.gather(1, positive)).div_(temperature)
            ).scatter_(1, positive, 0.0)  # (B, R), how far k is ahead of p
            ahead.masked_fill_(~is_ranked, 0.0)
            rank = 1.0 + ahead.sum(1, True)  # (B, 1)
            rank_of_relevant = 1.0 + ahead.masked_fill(~is_relevant, 0.0).sum(1, True)
            precision.add_((weight[:, slot, None] * rank_of_relevant / rank).squeeze(1))
            # d(a/b) = da/b - a db/b^2, da and db through g' = g (1 - g) / T
            slope = (ahead * (1.0 - ahead)).mul_(weight[:, slot, None] / temperature / rank)
            slope.mul_(is_relevant.to(slope.dtype).sub_(rank_of_relevant / rank))
            gradient.sub_(slope)
            gradient.scatter_add_(1, positive, slope.sum(1, True))
        terms = (1.0 - precision).masked_fill(~has_positive, 0.0)
        gradient.masked_fill_(~has_positive[:, None], 0.0)
        return terms, gradient, has_positive
