"""The softmax losses: a positive among all, by log-sum-exp.

Letters: B batch, D embedding, S positive slots of an anchor.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import NTXent as NTXentConfig
from ...spaces import SoftNearestNeighbor as SoftNearestNeighborConfig
from ...spaces import SupCon as SupConConfig
from ..distances import cosine_similarities, normalise, squared_euclidean_distances
from ..miners import Pairs, Setting
from .output import LossOutput, mean_where, summarise


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

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        pairs = Pairs.of_labels(labels)
        logits = cosine_similarities(embeddings) / self.config.temperature  # (B, B)
        log_total = _log_sum_exp(logits, pairs.positives | pairs.negatives)  # (B,)
        num_positives = pairs.positives.sum(1)  # (B,)
        sum_positives = logits.masked_fill(~pairs.positives, 0.0).sum(1)
        terms = log_total - sum_positives / num_positives.clamp_min(1)  # (B,)
        has_positive = num_positives > 0
        return summarise(mean_where(has_positive, terms), has_positive, terms)


class NTXent(nn.Module):
    """Normalised temperature-scaled cross entropy, one term a positive pair.

    L = mean over positive pairs (i, p) of
        -log( exp(s_ip/T) / (exp(s_ip/T) + sum_{n in N(i)} exp(s_in/T)) )

    The denominator holds that positive and the negatives of its anchor, not the other positives;
    with two items of each class it equals `SupCon`. A pair whose anchor has no negative costs
    exactly 0.

    With miner `easy_positive_semi_hard` P(i) is the nearest positive and N(i) the one negative
    chosen for it: the loss of Xuan, Stylianou, Pless 2020, arXiv 1904.04370.

    Source: Chen et al. 2020: SimCLR, arXiv 2002.05709, equation 1, with classes for the views of
    one image.
    """

    def __init__(self, config: NTXentConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        similarities = cosine_similarities(embeddings)  # (B, B)
        # Of unit vectors, 1 - s orders pairs as the Euclidean distance does.
        pairs = self.setting.mine_pairs(1.0 - similarities, labels, uniform)
        logits = similarities / self.config.temperature
        log_negatives = _log_sum_exp(logits, pairs.negatives)  # (B,)
        # -log( e^p / (e^p + e^n) ) = -log sigmoid(p - n)
        terms = -functional.logsigmoid(logits - log_negatives[:, None])  # (B, B)
        return summarise(mean_where(pairs.positives, terms), pairs.positives, terms)


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

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        pairs = Pairs.of_labels(labels)
        distances = squared_euclidean_distances(normalise(embeddings))
        logits = -distances / self.config.temperature  # (B, B)
        log_positives = _log_sum_exp(logits, pairs.positives)  # (B,)
        log_negatives = _log_sum_exp(logits, pairs.negatives)
        # -log( P / (P + N) ) = -log sigmoid(log P - log N)
        has_positive = pairs.positives.any(1)
        # 0 - log N where there is no positive: the difference of two stand-ins of -inf is noise.
        gap = log_positives.masked_fill(~has_positive, 0.0) - log_negatives
        terms = -functional.logsigmoid(gap)  # (B,)
        return summarise(mean_where(has_positive, terms), has_positive, terms)


def _log_sum_exp(logits: Tensor, mask: Tensor) -> Tensor:
    """The log-sum-exp of the masked logits of each row, (B,); hugely negative in an empty row.

    Not -inf, which would turn the gradient of an empty row into NaN.
    """
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min).logsumexp(1)
