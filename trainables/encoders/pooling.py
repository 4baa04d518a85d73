"""What makes a vector of a map of features.

B batch, F features, h and w sides of the map.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ...spaces import Pool


START = 3.0
"""Exponent that GeM starts from, as in the paper."""
SMALLEST = 1e-6
"""Features below it count as it: the logarithm of 0 has no value."""


class AveragePool(nn.Module):
    """Mean over the map."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, F)."""
        return features.mean(dim=(2, 3))


class MaxPool(nn.Module):
    """Maximum over the map; positions that share it share its gradient."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, F)."""
        return features.amax(dim=(2, 3))


class GeM(nn.Module):
    """Generalised mean over the map: (1/N sum_n x_n^p)^(1/p), with one learned p.

    p = 1 is the average, and p to infinity the maximum. Radenovic, Tolias, Chum 2018, Fine-tuning
    CNN Image Retrieval with No Human Annotation, arXiv 1711.02512, equation 3. It is computed as
    exp((logsumexp_n(p log x_n) - log N) / p), since x^p overflows half precision and more, and
    the logarithm of p is learned instead of p, which thus stays above 0 and never loses its
    gradient. Features at or below 1e-6 count as 1e-6 and get no gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_p = nn.Parameter(torch.tensor([math.log(START)]))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, F), float32 at least."""
        precise = features if features.dtype == torch.float64 else features.float()
        p = self.log_p.exp()
        logarithms = precise.clamp(min=SMALLEST).log().flatten(2)  # (B, F, h * w)
        total = torch.logsumexp(p * logarithms, dim=2)  # (B, F)
        return ((total - math.log(logarithms.shape[2])) / p).exp()


POOLS: "dict[Pool, Callable[[], nn.Module]]" = {
    "flatten": nn.Flatten,
    "average": AveragePool,
    "gem": GeM,
    "max": MaxPool,
}
