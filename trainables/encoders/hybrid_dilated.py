"""A small network whose convolutions see far without a gap."""

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from ...spaces import HybridDilated


DILATIONS = (1, 2, 5)
GRID = 4
"""Side of the map that the layers behind the convolutions see."""
LAYERS = (1024, 512, 128)


def build_hybrid_dilated(
    config: "HybridDilated", channels: int, size: tuple[int, int]
) -> nn.Module:
    """Three dilated convolutions, the mean over a grid, and three layers.

    Wang et al. 2018, Understanding Convolution for Semantic Segmentation, arXiv 1702.08502: with
    rates 1, 2, 5, every pixel of the 17 x 17 field counts, which repeated rates of 2 leave in
    holes. The layers are those of the program cleggct/siamese_net; batch norm and the grid, which
    fits any image, are ours.
    """
    widths = [channels, *(config.width * 2**place for place in range(len(DILATIONS)))]
    layers: list[nn.Module] = []
    for (inputs, outputs), dilation in zip(pairwise(widths), DILATIONS, strict=True):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    layers += [nn.AdaptiveAvgPool2d(GRID), nn.Flatten()]
    for inputs, outputs in pairwise([widths[-1] * GRID * GRID, *LAYERS]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
