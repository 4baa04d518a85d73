"""The triplet losses: a positive nearer than a negative, by a hinge or softly.

Letters: B batch, D embedding, S positive slots of an anchor, N negatives of a slot (B or 1).
"""

from torch import Tensor, nn
from torch.nn import functional

from ...spaces import SoftTriplet as SoftTripletConfig
from ...spaces import Triplet as TripletConfig
from ..distances import distance_matrix
from ..miners import Setting
from .output import LossOutput, mean_where, summarise


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

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        config = self.config
        distances = distance_matrix(embeddings, config.distance, unit_norm=config.unit_norm)
        triplets = self.setting.mine_triplets(distances, labels, uniform, config.margin)
        positive, negative = triplets.gather(distances)
        terms = (positive - negative + config.margin).relu()  # (B, S, N)
        mask = triplets.mask & (terms > 0.0) if config.reduction == "active" else triplets.mask
        return summarise(mean_where(mask, terms), mask, terms, triplets.num_candidates)


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

    def forward(self, embeddings: Tensor, labels: Tensor, uniform: Tensor) -> LossOutput:
        """The loss of raw embeddings (B, D), labels (B,) and random numbers (B, S)."""
        config = self.config
        distances = distance_matrix(embeddings, config.distance, unit_norm=config.unit_norm)
        triplets = self.setting.mine_triplets(distances, labels, uniform)
        positive, negative = triplets.gather(distances)
        # Not F.softplus, which turns linear at 20 and loses the digits of float64 there.
        terms = -functional.logsigmoid(negative - positive)  # (B, S, N)
        value = mean_where(triplets.mask, terms)
        return summarise(value, triplets.mask, terms, triplets.num_candidates)
