"""The softmax losses: a positive among all, by log-sum-exp.

Letters: B anchors, R references, S positive slots of an anchor, P classes of the batch.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import NCA as NCARecord  # noqa: N811  # an acronym, not a constant
from ...spaces import InfoNCE as InfoNCEConfig
from ...spaces import NPair as NPairConfig
from ...spaces import NTXent as NTXentConfig
from ...spaces import SoftNearestNeighbor as SoftNearestNeighborConfig
from ...spaces import SupCon as SupConConfig
from ..distances import (
    at_least_float32,
    cosine_similarities,
    inner_products,
    normalise,
    squared_euclidean_distances,
)
from ..items import Items
from ..miners import Pairs, Setting, positives_of
from .log_sum_exp import log_sum_exp
from .output import LossOutput, mean_over, mean_where


class SupCon(nn.Module):
    """Supervised contrastive loss.

    L = mean over anchors i of
        mean over p in P(i) of -log( exp(s_ip/T) / sum_{k != i} exp(s_ik/T) )

    The denominator holds everything but the anchor, the other positives too. Anchors without a
    positive are left out. On a batch of one class the terms are valid: positives compete with
    each other alone.

    Source: Khosla et al. 2020: Supervised Contrastive Learning, arXiv 2004.11362, equation 2
    (L_out), without its factor of the base temperature and as a mean over anchors, not a sum.
    """

    def __init__(self, config: SupConConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        similarities = cosine_similarities(items.anchors, items.references)  # (B, R)
        scale = 1.0 / self.config.temperature
        log_total = log_sum_exp(similarities, items.is_other(), scale)  # (B,)
        index, is_positive = positives_of(items, self.setting.max_positives)  # (B, S)
        near = similarities.gather(1, index).masked_fill(~is_positive, 0.0)
        num_positives = is_positive.sum(1)  # (B,)
        terms = log_total - scale * near.sum(1) / num_positives.clamp_min(1)
        has_positive = num_positives > 0
        return mean_over(has_positive, terms)


class NTXent(nn.Module):
    """Normalised temperature-scaled cross entropy, one term a positive pair.

    L = mean over positive pairs (i, p) of
        -log( exp(s_ip/T) / (exp(s_ip/T) + sum_{n in N(i)} exp(s_in/T)) )

    The denominator holds that positive and the negatives of its anchor, not the other positives;
    with two items of each class it equals `SupCon`. A pair whose anchor has no negative costs
    exactly 0.

    With an easy-positive miner P(i) is the nearest positive and N(i) the one negative chosen for
    it: the loss of Xuan, Stylianou, Pless 2020, arXiv 1904.04370.

    Source: Chen et al. 2020: SimCLR, arXiv 2002.05709, equation 1, with classes for the views of
    one image.
    """

    def __init__(self, config: NTXentConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        similarities = cosine_similarities(items.anchors, items.references)  # (B, R)
        # Of unit vectors, 1 - s orders pairs as the Euclidean distance does.
        pairs = self.setting.mine_pairs(1.0 - similarities.detach(), items)
        return _pair_against_negatives(similarities, pairs, self.config.temperature)


class InfoNCE(nn.Module):
    """InfoNCE: `NTXent` on inner products, where the norm of an embedding may speak too.

    L = mean over positive pairs (i, p) of
        -log( exp(e_i e_p/T) / (exp(e_i e_p/T) + sum_{n in N(i)} exp(e_i e_n/T)) )

    Source: van den Oord, Li, Vinyals 2018: Representation Learning with Contrastive Predictive
    Coding, arXiv 1807.03748, equation 4, with the inner product for the density ratio.
    """

    def __init__(self, config: InfoNCEConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        measure = cosine_similarities if self.config.unit_norm else inner_products
        similarities = measure(items.anchors, items.references)
        pairs = Pairs.of_items(items, self.setting.max_positives)
        return _pair_against_negatives(similarities, pairs, self.config.temperature)


class NPair(nn.Module):
    """Multi-class N-pair loss.

    L = mean over classes c of log(1 + sum_{k != c} exp(a_c p_k - a_c p_c))
        + w * mean of |a_c|^2 and |p_c|^2

    Two items of each class of the batch are drawn at random: its anchor a_c and its positive p_c,
    which is the negative of all other anchors. Classes of one item take no part.

    Source: Sohn 2016: Improved Deep Metric Learning with Multi-class N-pair Loss Objective,
    equations 7 and 9.
    """

    def __init__(self, config: NPairConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        anchor, partner, is_class = random_pairs(items, self.setting.batch.classes)  # (P,)
        embeddings = at_least_float32(items.anchors)
        # Not embeddings[anchor], whose gradient is summed one number at a time.
        anchors, partners = embeddings.index_select(0, torch.cat([anchor, partner])).chunk(2)
        logits = inner_products(anchors, partners)  # (P, P)
        terms = log_sum_exp(logits, is_class[None, :]) - logits.diagonal()  # (P,)
        output = mean_over(is_class, terms)
        if self.config.norm_penalty == 0.0:
            return output
        norms = (anchors.square() + partners.square()).sum(1) / 2.0
        penalty = self.config.norm_penalty * mean_where(is_class, norms)
        return replace(output, value=output.value + penalty)


class SoftNearestNeighbor(nn.Module):
    """Soft nearest neighbour loss.

    L = mean over anchors i of
        -log( sum_{p in P(i)} exp(-d_ip^2/T) / sum_{k != i} exp(-d_ik^2/T) )

    The sum over positives is inside the logarithm, so one near positive is enough: classes may lie
    in several clusters. Anchors without a positive are left out; without a negative they cost
    exactly 0. d is the distance of unit vectors.

    Source: Frosst, Papernot, Hinton 2019: Analyzing and Improving Representations with the Soft
    Nearest Neighbor Loss, arXiv 1902.01889, definition 1, where the embeddings are not normalised.
    """

    def __init__(self, config: SoftNearestNeighborConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        unit = normalise(items.anchors)
        references = normalise(items.references) if items.has_memory else unit
        return _positives_against_all(
            squared_euclidean_distances(unit, references),
            *positives_of(items, self.setting.max_positives),
            items.is_negative(),
            self.config.temperature,
        )


class NCA(nn.Module):
    """Neighbourhood components analysis within a batch.

    L = mean over anchors i of -log( sum_{p in P(i)} exp(-d_ip^2) / sum_{k != i} exp(-d_ik^2) )

    `SoftNearestNeighbor` without a temperature, on embeddings that are free to grow: their scale
    is the temperature.

    Source: Laenen, Bertinetto 2021: On Episodes, Prototypical Networks, and Few-Shot Learning,
    arXiv 2012.09831, equation 3, after Goldberger et al. 2004: Neighbourhood Components Analysis.
    """

    def __init__(self, config: NCARecord, setting: Setting) -> None:
        super().__init__()
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        return _positives_against_all(
            squared_euclidean_distances(items.anchors, items.references),
            *positives_of(items, self.setting.max_positives),
            items.is_negative(),
            temperature=1.0,
        )


def random_pairs(items: Items, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two random items of each class of the batch.

    Args:
        items: Ranked within their class by the last column of their random numbers.
        num_classes: P, the most classes that the batch holds; further ones are left out.

    Returns:
        Index of the first and of the second item of each class, (P,) int64, and whether there is
        such a class with two items, (P,) bool. The index of another is legal and means nothing.
    """
    last = len(items.labels) - 1
    # By class, then by random number: float64 holds both.
    order = (items.labels.double() + items.uniform[:, -1]).argsort()  # (B,)
    labels = items.labels[order]
    number = (labels[1:] != labels[:-1]).cumsum(0)  # (B - 1,) of the next item's class, from 0
    classes = torch.arange(num_classes, device=labels.device)
    # (P,) place of the first item of each class; beyond the last class: B
    first = torch.searchsorted(number, classes) + (classes > 0)
    place, next_place = first.clamp_max(last), (first + 1).clamp_max(last)
    is_class = (first < last) & (labels[place] == labels[next_place])
    return order[place], order[next_place], is_class


def _pair_against_negatives(similarities: Tensor, pairs: Pairs, temperature: float) -> LossOutput:
    """Each positive pair against itself and the negatives of its anchor."""
    log_negatives = log_sum_exp(similarities, pairs.negatives, 1.0 / temperature)  # (B,)
    near = similarities.gather(1, pairs.positive_index) / temperature  # (B, S)
    # -log( e^p / (e^p + e^n) ) = -log sigmoid(p - n)
    terms = -functional.logsigmoid(near - log_negatives[:, None])
    return mean_over(pairs.is_positive, terms)


def _positives_against_all(
    distances: Tensor, index: Tensor, is_positive: Tensor, is_negative: Tensor, temperature: float
) -> LossOutput:
    """The positives' share of the sum over everything but the anchor, in one logarithm."""
    near = distances.gather(1, index)  # (B, S)
    log_positives = log_sum_exp(near, is_positive, -1.0 / temperature)  # (B,)
    log_negatives = log_sum_exp(distances, is_negative, -1.0 / temperature)
    # -log( P / (P + N) ) = -log sigmoid(log P - log N)
    has_positive = is_positive.any(1)
    # 0 - log N where there is no positive: the difference of two stand-ins of -inf is noise.
    gap = log_positives.masked_fill(~has_positive, 0.0) - log_negatives
    terms = -functional.logsigmoid(gap)  # (B,)
    return mean_over(has_positive, terms)
