"""The contrastive loss.

Letters: B batch, D embedding, S positive slots of an anchor.
"""

import torch
from torch import Tensor, nn

from ...spaces import Contrastive as ContrastiveConfig
from ..distances import distance_matrix
from ..miners import Setting
from .output import LossOutput, mean_where, summarise


class Contrastive(nn.Module):
    """Contrastive loss: positives are pulled together, negatives pushed beyond a margin.

    L = mean over positive pairs of d^2 / 2 + mean over negative pairs of max(0, m - d)^2 / 2

    The two means are taken separately, then added: a batch of P x K holds (P - 1) K / (K - 1)
    negatives a positive, and one mean would drown the positives. A batch without pairs of a kind
    leaves that mean out.

    Source: Hadsell, Chopra, LeCun 2006: Dimensionality Reduction by Learning an Invariant Mapping,
    equation 4. There, Y = 1 marks a *dissimilar* pair; here pairs are named, not numbered.
    """

    def __init__(self, config: ContrastiveConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        margin = self.config.margin
        distances = distance_matrix(
            embeddings, self.config.distance, unit_norm=self.config.unit_norm
        )
        pairs = self.setting.mine_pairs(distances, labels, uniform, margin)
        pull = distances.square() / 2.0  # (B, B)
        push = (margin - distances).relu().square() / 2.0  # (B, B)
        value = mean_where(pairs.positives, pull) + mean_where(pairs.negatives, push)
        terms = torch.where(pairs.positives, pull, push)
        return summarise(value, pairs.positives | pairs.negatives, terms)
