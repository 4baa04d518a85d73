"""Conv4, the small network of the few-shot papers."""

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from ...spaces import Conv4


POOLINGS = 4
"""How often it halves the image."""


def build_conv4(config: "Conv4", channels: int, size: tuple[int, int]) -> nn.Module:
    """Four blocks of convolution, batch norm, ReLU and max-pooling.

    Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv 1606.04080, section 4.1,
    with `growth=1` and `pool="last"`.
    """
    widths = [config.width * config.growth**block for block in range(POOLINGS)]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([channels, *widths]):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        rest: list[nn.Module] = [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        rest.insert(0 if config.pool == "first" else len(rest), nn.MaxPool2d(2))
        layers += [convolution, *rest]
    return nn.Sequential(*layers)
