"""Convolutions along a series.

B batch, C channels, F features, L length.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from ...spaces import Conv1d


KERNELS = (8, 5, 3)
FACTORS = (1, 2, 1)
"""Channels of each convolution, in units of the first one's."""


class AlongTheSeries(nn.Module):
    """One-dimensional layers on series that come as images of height 1."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, series: Tensor) -> Tensor:
        """(B, C, 1, L) to (B, F, 1, L')."""
        return cast(Tensor, self.layers(series.squeeze(2)).unsqueeze(2))


def build_conv1d(config: "Conv1d", channels: int, size: tuple[int, int]) -> nn.Module:
    """Three convolutions with batch norm and ReLU, padded by half their kernels.

    Wang, Yan, Oates 2017, Time Series Classification from Scratch with Deep Neural Networks: A
    Strong Baseline, arXiv 1611.06455, section II.B.
    """
    layers: list[nn.Module] = []
    widths = [channels, *(config.width * factor for factor in FACTORS)]
    for (inputs, outputs), kernel in zip(pairwise(widths), KERNELS, strict=True):
        layers += [
            nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(inplace=True),
        ]
    return AlongTheSeries(nn.Sequential(*layers))
