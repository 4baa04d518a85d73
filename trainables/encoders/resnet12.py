"""ResNet-12, the larger network of the few-shot papers.

B batch, F features, h and w sides of the map.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from ...spaces import ResNet12


SLOPE = 0.1
"""Of the leaky ReLU below 0."""
HALVES = {"wide": (2, 5, 10, 20), "doubling": (2, 4, 8, 16)}
"""Channels of each block, in halves of the first one's."""


class ResidualBlock(nn.Module):
    """Three convolutions beside a shortcut, then leaky ReLU and 2x2 max-pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for first, second in pairwise([inputs, outputs, outputs, outputs]):
            layers += [
                nn.Conv2d(first, second, 3, padding=1, bias=False),
                nn.BatchNorm2d(second),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        self.convolutions = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.last = nn.Sequential(nn.LeakyReLU(SLOPE, inplace=True), nn.MaxPool2d(2))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, F', h // 2, w // 2)."""
        return cast(Tensor, self.last(self.convolutions(features) + self.shortcut(features)))


def build_resnet12(config: "ResNet12", channels: int, size: tuple[int, int]) -> nn.Module:
    """Four residual blocks, without drop-block.

    Lee et al. 2019, Meta-Learning with Differentiable Convex Optimization, arXiv 1904.03758,
    section 4.1 (`wide`); Oreshkin, Rodriguez, Lacoste 2018, TADAM, arXiv 1805.10123 (`doubling`).
    """
    widths = [channels, *(config.width * halves // 2 for halves in HALVES[config.widths])]
    return nn.Sequential(*(ResidualBlock(*both) for both in pairwise(widths)))
