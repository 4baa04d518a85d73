"""Elastic distortions.

B batch, S image side, R side of the noise.
"""

import math

import torch
from torch import Tensor

from ...spaces.augment import ElasticConfig

REACH = 3.0
"""Where the Gaussian is cut off, in standard deviations."""


def random_elastic(grid: Tensor, config: ElasticConfig, generator: torch.Generator) -> Tensor:
    """A grid whose points are displaced, each axis by Gaussian-smoothed uniform noise.

    d = strength * (G * u) / sd(G * u), u uniform in [-1, 1]. The noise reaches over the border, so
    the displacement is as strong there as in the middle.

    Source: Simard, Steinkraus, Platt 2003, "Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis", section 2; there its strength is a factor of pixels.

    Args:
        grid: Places in the input, coordinates in [-1, 1], shape (B, S, S, 2).
        config: Strength and smoothness, as shares of the side.
        generator: On the device of the grid.

    Returns:
        Shape (B, S, S, 2).
    """
    batch, side = grid.shape[:2]
    is_warped = torch.rand(batch, generator=generator, device=grid.device) < config.probability
    sigma = config.smoothness * side  # pixels
    reach = math.ceil(REACH * sigma)
    noise = torch.rand(
        (batch, 2, side + 2 * reach, side + 2 * reach), generator=generator, device=grid.device
    )
    rows = torch.arange(side, device=grid.device)[:, None]
    columns = torch.arange(side + 2 * reach, device=grid.device)[None, :] - reach
    distance = (rows - columns).float()
    weights = (-0.5 * (distance / sigma).square()).exp()  # (S, R)
    weights = torch.where(distance.abs() <= reach, weights, 0.0)
    # A sum of uniform numbers with weights w w^T: its variance is |w|^4 / 3.
    weights = weights / weights[:1].square().sum().sqrt()
    smooth = weights @ (noise * 2.0 - 1.0) @ weights.mT * math.sqrt(3.0)  # (B, 2, S, S), s.d. 1
    displacement = smooth * (2.0 * config.strength) * is_warped[:, None, None, None]
    return grid + displacement.permute(0, 2, 3, 1)
