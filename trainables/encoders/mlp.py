"""A multilayer perceptron, for vectors and for images that are flattened."""

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from ...spaces import Mlp


def build_mlp(config: "Mlp", channels: int, size: tuple[int, int]) -> nn.Module:
    """Hidden layers of equal width with batch norm and ReLU, on flattened input.

    A vector of F numbers comes as an image of shape (1, 1, F).
    """
    height, width = size
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise([channels * height * width, *[config.hidden] * config.layers]):
        layers += [
            nn.Linear(inputs, outputs, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
