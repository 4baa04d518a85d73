"""The triplet losses: a positive nearer than a negative, by a hinge or softly.

Letters: a anchor, p positive, n negative, m margin.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...spaces import SoftTriplet as SoftTripletConfig
from ...spaces import Triplet as TripletConfig
from ...spaces import TripletSwap as TripletSwapConfig
from ..items import Items
from ..miners import Setting
from .output import LossOutput
from .triplet_costs import Cost, mean_over_triplets


class Triplet(nn.Module):
    """Triplet hinge loss.

    L = mean over triplets (a, p, n) of max(0, d_ap - d_an + m)

    The mean is over the active triplets (those above 0), or over all that the miner kept. Over the
    active ones the gradient does not fade as training succeeds, and the value says nothing about
    progress.

    Source: Schroff, Kalenichenko, Philbin 2015: FaceNet, arXiv 1503.03832, equation 3, which sums
    and takes squared distances (`distance: squared_euclidean`). The mean over the active ones:
    Hermans, Beyer, Leibe 2017, arXiv 1703.07737, section 2.
    """

    def __init__(self, config: TripletConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        return mean_over_triplets(
            items,
            self.setting,
            hinge(self.setting.margin),
            distance=self.config.distance,
            unit_norm=self.config.unit_norm,
            reduction=self.config.reduction,
        )


class TripletSwap(nn.Module):
    """Triplet hinge loss with anchor swap.

    L = mean over triplets (a, p, n) of max(0, d_ap - min(d_an, d_pn) + m)

    The negative is judged by the nearer of the two items that it should be far from. The miner
    still goes by d_an. The mean is that of `Triplet`.

    Source: Balntas, Riba, Ponsa, Mikolajczyk 2016: Learning Local Feature Descriptors with
    Triplets and Shallow Convolutional Neural Networks, section 3.2 (anchor swap).
    """

    def __init__(self, config: TripletSwapConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        return mean_over_triplets(
            items,
            self.setting,
            hinge(self.setting.margin),
            distance=self.config.distance,
            unit_norm=self.config.unit_norm,
            reduction=self.config.reduction,
            swap=True,
        )


class SoftTriplet(nn.Module):
    """Triplet loss with a soft margin.

    L = mean over triplets (a, p, n) of log(1 + exp(d_ap - d_an))

    It has no margin to tune and never stops pulling, so the embeddings must be free to grow:
    on unit vectors its gradient fades, and the recipe refuses that.

    Source: Hermans, Beyer, Leibe 2017: In Defense of the Triplet Loss for Person
    Re-Identification, arXiv 1703.07737, section 2 (soft margin).
    """

    def __init__(self, config: SoftTripletConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        return mean_over_triplets(
            items,
            self.setting,
            _soft,
            distance=self.config.distance,
            unit_norm=self.config.unit_norm,
        )


def hinge(margin: float) -> Cost:
    """max(0, m - gap), which falls by 1 where it is above 0."""

    def cost(gaps: Tensor) -> tuple[Tensor, Tensor]:
        costs = (margin - gaps).relu_()
        return costs, (costs > 0.0).to(gaps.dtype)

    return cost


def _soft(gaps: Tensor) -> tuple[Tensor, Tensor]:
    # Not F.softplus, which turns linear at 20 and loses the digits of float64 there.
    return -functional.logsigmoid(gaps), torch.sigmoid(-gaps)
