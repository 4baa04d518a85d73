"""The angular loss.

Letters: B anchors, S positive slots of an anchor.
"""

import math

import torch
from torch import Tensor, nn

from ...spaces import Angular as AngularConfig
from ..distances import cosine_similarities
from ..items import Items
from ..miners import Setting, slots_of
from .output import LossOutput, value_with_gradient


class Angular(nn.Module):
    """Angular loss.

    L = mean over positive pairs (a, p) of log(1 + sum_n exp(f_apn))
    f_apn = 4 tan^2(alpha) (u_a + u_p) u_n - 2 (1 + tan^2(alpha)) u_a u_p

    Bounds the angle that the pair spans, seen from the negative: unlike a margin, an angle does
    not depend on scale. A pair whose anchor has no negative costs exactly 0.

    Source: Wang, Zhou, Wen, Liu, Lin 2017: Deep Metric Learning with Angular Loss,
    arXiv 1708.01682, equations 8 and 9, over all positive pairs of a batch, on unit vectors.
    """

    def __init__(self, config: AngularConfig, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.tan_squared = math.tan(math.radians(config.angle)) ** 2

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        similarities = cosine_similarities(items.anchors, items.references)  # (B, B)
        with torch.no_grad():
            value, gradient, share, num_active = self._over_slots(similarities, items)
        return LossOutput(value_with_gradient(value, similarities, gradient), share, num_active)

    def _over_slots(
        self, similarities: Tensor, items: Items
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Value, gradient by the similarities, active share and count; slot by slot, in B^2."""
        index, is_positive = slots_of(items, self.setting.max_positives)  # (B, S)
        is_negative = items.is_negative()
        gradient = torch.zeros_like(similarities)
        total = similarities.new_zeros(())
        num_active = torch.zeros((), dtype=torch.int64, device=similarities.device)
        to_negative, to_positive = 4.0 * self.tan_squared, -2.0 * (1.0 + self.tan_squared)
        for slot in range(index.shape[1]):
            positive, is_pair = index[:, slot], is_positive[:, slot]  # (B,)
            closeness = similarities.gather(1, positive[:, None])  # (B, 1), u_a u_p
            exponents = (similarities + similarities[positive]).mul_(to_negative)
            exponents.add_(to_positive * closeness).masked_fill_(~is_negative, -torch.inf)
            # log(1 + sum exp f) with the 1 as one more exponent, 0
            largest = exponents.amax(1, True).clamp_min_(0.0)
            shares = exponents.sub_(largest).exp_()  # (B, B)
            sums = shares.sum(1, True) + (-largest).exp()
            terms = (largest + sums.log()).squeeze(1).masked_fill(~is_pair, 0.0)  # (B,)
            total = total + terms.sum()
            num_active = num_active + (terms > 0.0).sum()
            shares.div_(sums).masked_fill_(~is_pair[:, None], 0.0)
            gradient.add_(shares, alpha=to_negative)
            gradient.index_add_(0, positive, shares, alpha=to_negative)
            gradient.scatter_add_(1, positive[:, None], to_positive * shares.sum(1, True))
        num_pairs = is_positive.sum()
        count = num_pairs.clamp_min(1)
        return total / count, gradient.div_(count), num_active / count, num_active
