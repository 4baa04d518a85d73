"""The margin loss, with its learned boundary.

Letters: B anchors, R references, S positive slots of an anchor, C classes.
"""

import torch
from torch import nn

from ...spaces import MarginLoss as MarginConfig
from ..items import Items
from ..measured import Measured
from ..miners import Setting
from .output import LossOutput


class MarginLoss(nn.Module):
    """Margin loss.

    L = sum over triplets of max(0, m + d_ap - beta) + max(0, m - d_an + beta)
        over the number of those terms that are above 0

    Positives end up nearer than beta - m and negatives farther than beta + m. beta is fixed, or
    learned, one for all or one for each class of the anchor; learning adds nu * beta, which keeps
    the boundary small. A pair counts as often as the miner's triplets hold it.

    Source: Wu, Manmatha, Smola, Kraehenbuehl 2017: Sampling Matters in Deep Embedding Learning,
    arXiv 1706.07567, equations 4 and 5.
    """

    def __init__(self, config: MarginConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting
        num_betas = setting.num_classes if config.learn_beta == "class" else 1
        beta = torch.full((num_betas,), config.beta)
        if config.learn_beta == "no":
            self.register_buffer("beta", beta)
        else:
            self.beta = nn.Parameter(beta)

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        config = self.config
        measured = Measured.of(items, config.distance, unit_norm=config.unit_norm)
        distances = measured.matrix(self.setting.num_chosen)  # (B, R)
        triplets = self.setting.mine_triplets(distances, items)
        beta = self.beta[items.labels] if config.learn_beta == "class" else self.beta  # (B,), (1,)
        beta = beta[:, None]
        if triplets.negative_index is None:  # every positive with every negative
            positive = distances.gather(1, triplets.positive_index)  # (B, S)
            negative = distances  # (B, R)
            times_positive = triplets.is_kept * triplets.is_negative.sum(1, True)
            times_negative = triplets.is_negative * triplets.is_kept.sum(1, True)
        else:
            both = torch.cat([triplets.positive_index, triplets.negative_index], 1)
            positive, negative = measured.between(both, distances).chunk(2, 1)  # (B, S)
            times_positive = times_negative = triplets.is_kept.long()
        near = (self.setting.margin + positive - beta).relu()
        far = (self.setting.margin - negative + beta).relu()
        num_active = (times_positive * (near > 0)).sum() + (times_negative * (far > 0)).sum()
        total = (near * times_positive).sum() + (far * times_negative).sum()
        if config.learn_beta == "class":
            # As often as the anchor is in a triplet: its class is then pulled as often.
            total = total + config.beta_penalty * (beta * times_positive).sum()
        value = total / num_active.clamp_min(1)
        num_terms = times_positive.sum() + times_negative.sum()
        if config.learn_beta == "global":
            value = value + config.beta_penalty * (num_terms > 0) * beta.sum()
        return LossOutput(value, num_active / num_terms.clamp_min(1), num_active)
