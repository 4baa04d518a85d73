"""The losses that weigh each pair by how hard it is within its anchor's pairs.

Letters: B anchors, R references, S positive slots of an anchor.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import Circle as CircleConfig
from ...spaces import LiftedStructure as LiftedStructureConfig
from ...spaces import MultiSimilarity as MultiSimilarityConfig
from ...spaces import RankedList as RankedListConfig
from ..distances import cosine_similarities, distance_matrix
from ..items import Items
from ..miners import Setting, positives_of
from .log_sum_exp import log_sum_exp
from .output import LossOutput, mean_over, mean_over_all


class MultiSimilarity(nn.Module):
    """Multi-similarity loss.

    L = mean over anchors i of (1/alpha) log(1 + sum_p exp(-alpha (s_ip - lambda)))
                             + (1/beta)  log(1 + sum_n exp(beta (s_in - lambda)))

    An empty sum costs exactly 0.

    Source: Wang, Han, Huang, Dong, Scott 2019: Multi-Similarity Loss with General Pair Weighting
    for Deep Metric Learning, arXiv 1904.06627, equation 15.
    """

    def __init__(self, config: MultiSimilarityConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        config = self.config
        similarities = cosine_similarities(items.anchors, items.references)  # (B, R)
        pairs = self.setting.mine_pairs(similarities, items, similarities)
        near = similarities.gather(1, pairs.positive_index) - config.threshold  # (B, S)
        log_near = log_sum_exp(near, pairs.is_positive, -config.alpha)  # (B,)
        log_far = log_sum_exp(similarities, pairs.negatives, config.beta)
        log_far = log_far - config.beta * config.threshold
        # log(1 + e^x) = -log sigmoid(-x), which is 0 in an empty row
        terms = (
            -functional.logsigmoid(-log_near) / config.alpha
            - functional.logsigmoid(-log_far) / config.beta
        )
        return mean_over_all(terms)


class Circle(nn.Module):
    """Circle loss.

    L = mean over anchors of
        log(1 + sum_n exp(g a_n (s_n - m)) * sum_p exp(-g a_p (s_p - (1 - m))))
    a_p = max(0, 1 + m - s_p), a_n = max(0, s_n + m), both without a gradient

    Each pair is weighed by its distance to its optimum. Anchors that lack a positive or a negative
    are left out.

    Source: Sun et al. 2020: Circle Loss: A Unified Perspective of Pair Similarity Optimization,
    arXiv 2002.10857, equations 4 to 8.
    """

    def __init__(self, config: CircleConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        scale, relaxation = self.config.scale, self.config.relaxation
        similarities = cosine_similarities(items.anchors, items.references)  # (B, R)
        index, is_positive = positives_of(items, self.setting.max_positives)
        is_negative = items.is_negative()
        near = similarities.gather(1, index)  # (B, S)
        pull = (1.0 + relaxation - near.detach()).relu() * (1.0 - relaxation - near)
        push = (similarities.detach() + relaxation).relu_() * (similarities - relaxation)
        gap = log_sum_exp(pull, is_positive, scale) + log_sum_exp(push, is_negative, scale)
        has_both = is_positive.any(1) & is_negative.any(1)
        terms = -functional.logsigmoid(-gap.masked_fill(~has_both, 0.0))
        return mean_over(has_both, terms)


class LiftedStructure(nn.Module):
    """Lifted structured loss.

    L = mean over positive pairs (i, p) of
        max(0, log(sum_{n in N(i)} exp(m - d_in) + sum_{n in N(p)} exp(m - d_pn)) + d_ip)^2 / 2

    Each positive pair sees all negatives of both its items. A pair without a negative is left out.

    Source: Oh Song, Xiang, Jegelka, Savarese 2016: Deep Metric Learning via Lifted Structured
    Feature Embedding, arXiv 1511.06452, equation 4.
    """

    def __init__(self, config: LiftedStructureConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        distances = distance_matrix(
            items.anchors,
            items.references,
            self.config.distance,
            unit_norm=self.config.unit_norm,
        )
        is_negative = items.is_negative()
        index, is_positive = positives_of(items, self.setting.max_positives)  # (B, S)
        push = self.setting.margin + log_sum_exp(distances, is_negative, -1.0)  # (B,)
        is_pair = is_positive & is_negative.any(1, True)
        both = torch.logaddexp(push[:, None], push[index])  # (B, S)
        # Where there is no pair the stand-in for -inf must not meet the square.
        excess = (both + distances.gather(1, index)).masked_fill(~is_pair, 0.0).relu()
        terms = excess.square() / 2.0
        return mean_over(is_pair, terms)


class RankedList(nn.Module):
    """Ranked list loss.

    L = mean over anchors of (1 - lambda) sum_p w_p max(0, d_p - (alpha - m)) / sum_p w_p
                           + lambda sum_n w_n max(0, alpha - d_n) / sum_n w_n
    w_p = exp(T_p (d_p - (alpha - m))), w_n = exp(T_n (alpha - d_n))

    Sums are over the pairs with a cost, the weights without a gradient. A sum over none is 0.

    Source: Wang, Hua, Kodirov, Hu, Garnier, Robertson 2019: Ranked List Loss for Deep Metric
    Learning, arXiv 1903.03238, equations 4 to 7; T_p is of the journal's version.
    """

    def __init__(self, config: RankedListConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        config = self.config
        distances = distance_matrix(
            items.anchors, items.references, config.distance, unit_norm=config.unit_norm
        )
        ball = config.boundary - self.setting.margin
        index, is_positive = positives_of(items, self.setting.max_positives)
        near = _weighted_mean(
            distances.gather(1, index) - ball, is_positive, config.positive_temperature
        )
        far = _weighted_mean(
            config.boundary - distances, items.is_negative(), config.negative_temperature
        )
        terms = (1.0 - config.negative_share) * near + config.negative_share * far  # (B,)
        return mean_over_all(terms)


def _weighted_mean(excess: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """The mean of each row's masked costs above 0, weighed by exp(T cost); 0 if there is none."""
    costs = excess.relu()  # (B, R) or (B, S)
    with torch.no_grad():
        is_active = mask & (costs > 0.0)
        # A softmax over the active ones; what is left in a row without any is taken out after.
        weights = costs * temperature
        weights.masked_fill_(~is_active, torch.finfo(costs.dtype).min)
        weights = torch.softmax(weights, 1).masked_fill_(~is_active, 0.0)
    return (weights * costs).sum(1)
