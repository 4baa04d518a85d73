"""The contrastive losses: positive pairs pulled together, negative pairs pushed apart.

Letters: B anchors, R references, S positive slots of an anchor.

They differ in the pull f(d) of a positive pair and the push g(d) of a negative one:

    L = mean over positive pairs of f(d) + mean over negative pairs of g(d)

The two means are taken separately, then added: a batch of P x K holds (P - 1) K / (K - 1)
negatives a positive, and one mean would drown the positives. Each is over all pairs of its kind,
or over those that cost something (`reduction: active`). A batch without pairs of a kind leaves
that mean out. In the original paper Y = 1 marks a *dissimilar* pair; here pairs are named, not
numbered.

Sources: Hadsell, Chopra, LeCun 2006: Dimensionality Reduction by Learning an Invariant Mapping,
equation 4; Musgrave, Belongie, Lim 2020: A Metric Learning Reality Check, arXiv 2003.08505.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...spaces import (
    Contrastive,
    LinearContrastive,
    MixedContrastive,
    SquaredContrastive,
    TwoMarginContrastive,
)
from ...spaces.losses.contrastive import PairReduction
from ..distances import distance_matrix
from ..items import Items
from ..miners import Setting
from .output import LossOutput, value_with_gradient

ContrastiveConfig = (
    Contrastive | SquaredContrastive | MixedContrastive | LinearContrastive | TwoMarginContrastive
)

Side = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Of distances: the cost of a pair and its derivative by the distance."""


class PairLoss(nn.Module):
    """Contrastive loss with the pull and the push that its name stands for."""

    def __init__(self, config: ContrastiveConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        config = self.config
        distances = distance_matrix(
            items.anchors, items.references, config.distance, unit_norm=config.unit_norm
        )
        pairs = self.setting.mine_pairs(distances, items)
        with torch.no_grad():
            near = distances.gather(1, pairs.positive_index)  # (B, S)
            pull, pull_slope, active_near, num_near = _mean(
                *_pull(config)(near), pairs.is_positive, config.reduction
            )
            # Infinitely far is where no push reaches.
            far = distances.masked_fill(~pairs.negatives, torch.inf)  # (B, R)
            push, push_slope, active_far, num_far = _mean(
                *_push(config, self.setting.margin)(far), pairs.negatives, config.reduction
            )
            gradient = push_slope.scatter_add_(1, pairs.positive_index, pull_slope)
            active, count = active_near + active_far, num_near + num_far
        value = value_with_gradient(pull + push, distances, gradient)
        return LossOutput(value, active / count.clamp_min(1), active)


def _pull(config: ContrastiveConfig) -> Side:
    match config:
        case Contrastive() | MixedContrastive():
            return lambda d: (d.square() / 2.0, d.clone())  # d^2 / 2
        case SquaredContrastive():
            return lambda d: (d.square(), 2.0 * d)  # d^2
        case LinearContrastive():
            return lambda d: (d, torch.ones_like(d))  # d
        case TwoMarginContrastive():
            return lambda d: _hinge(d - config.positive_margin)  # max(0, d - m_p)


def _push(config: ContrastiveConfig, margin: float) -> Side:
    def linear(d: Tensor) -> tuple[Tensor, Tensor]:  # max(0, m - d)
        cost, slope = _hinge(margin - d)
        return cost, slope.neg_()

    def squared(d: Tensor) -> tuple[Tensor, Tensor]:  # max(0, m - d)^2
        below = (margin - d).relu_()
        return below.square(), -2.0 * below

    def half_squared(d: Tensor) -> tuple[Tensor, Tensor]:  # max(0, m - d)^2 / 2
        below = (margin - d).relu_()
        return below.square() / 2.0, -below

    match config:
        case Contrastive():
            return half_squared
        case SquaredContrastive():
            return squared
        case MixedContrastive() | LinearContrastive() | TwoMarginContrastive():
            return linear


def _hinge(excess: Tensor) -> tuple[Tensor, Tensor]:
    cost = excess.relu()
    return cost, (cost > 0.0).to(excess.dtype)


def _mean(
    costs: Tensor, slopes: Tensor, mask: Tensor, reduction: PairReduction
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mean cost of the masked pairs, its gradient, and how many are active and in all."""
    costs, slopes = costs.masked_fill(~mask, 0.0), slopes.masked_fill_(~mask, 0.0)
    num_pairs, num_active = mask.sum(), (costs > 0.0).sum()
    count = (num_active if reduction == "active" else num_pairs).clamp_min(1)
    return costs.sum() / count, slopes.div_(count), num_active, num_pairs
