"""A random affine map of every image: turn, shear, zoom, shift.

B batch.
"""

import math

import torch
from torch import Tensor

from ...spaces import AugmentConfig


def random_affine(
    config: AugmentConfig, quarter_turns: Tensor, generator: torch.Generator
) -> Tensor:
    """Affine maps, from output to input coordinates, each rotation * shear * scale + shift.

    Args:
        config: The ranges; coordinates run from -1 to 1, so a shift is twice its share.
        quarter_turns: Turns of 90 degrees that come first, shape (B,).
        generator: On the device of `quarter_turns`.

    Returns:
        Maps for `torch.nn.functional.affine_grid`, shape (B, 2, 3).
    """
    batch, device = quarter_turns.shape[0], quarter_turns.device
    draws = torch.rand((batch, 7), generator=generator, device=device)
    is_mapped = (draws[:, 6] < config.probability).float()  # (B,)
    signed = (draws[:, :6] * 2.0 - 1.0) * is_mapped[:, None]  # (B, 6) in [-1, 1], 0 = identity
    turn = quarter_turns * (math.pi / 2)
    angle = signed[:, 0] * math.radians(config.degrees) + turn
    shear = signed[:, 1] * config.shear
    scale_x, scale_y = (1.0 + signed[:, 2:4] * config.scale).unbind(1)
    shift = signed[:, 4:6] * (2.0 * config.translate)
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos * scale_x, (cos * shear - sin) * scale_y, shift[:, 0]], 1)
    second = torch.stack([sin * scale_x, (sin * shear + cos) * scale_y, shift[:, 1]], 1)
    return torch.stack([first, second], 1)
