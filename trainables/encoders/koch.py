"""The convolutions of the first deep siamese network for one-shot learning."""

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from ...spaces import Koch


KERNELS = (10, 7, 4, 4)
FACTORS = (1, 2, 2, 4)
"""Channels of each convolution, in units of the first one's."""


def build_koch(config: "Koch", channels: int, size: tuple[int, int]) -> nn.Module:
    """Four convolutions with ReLU, max-pooling after the first three.

    Koch, Zemel, Salakhutdinov 2015, Siamese Neural Networks for One-shot Image Recognition,
    figure 4: 105 pixels become a map of 256 x 6 x 6. Weights start as PyTorch's do, not from the
    paper's normal distributions; the layer of 4096 sigmoids is left to the head.
    """
    layers: list[nn.Module] = []
    widths = [channels, *(config.width * factor for factor in FACTORS)]
    for place, ((inputs, outputs), kernel) in enumerate(
        zip(pairwise(widths), KERNELS, strict=True)
    ):
        padding = kernel // 2 if config.padding == "half" else 0
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU(inplace=True)]
        if place < len(KERNELS) - 1:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
