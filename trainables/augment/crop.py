"""Random resized crops.

B batch.
"""

import math

import torch
from torch import Tensor

from ...spaces.augment import CropConfig


def random_sides(area: Tensor, uniform: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
    """Width and height, as shares of the side, of rectangles of a given area.

    width = sqrt(area * r), height = sqrt(area / r), log r uniform in [-log aspect, log aspect].
    A side longer than the image is cut to it, so that the shape of the computation is fixed; the
    papers draw again.

    Args:
        area: Shares of the image's area, shape (B,).
        uniform: In [0, 1), shape (B,).
        aspect: Largest ratio of the sides, >= 1.

    Returns:
        Each of shape (B,), in (0, 1].
    """
    ratio = ((uniform * 2.0 - 1.0) * math.log(aspect)).exp()
    return (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)


def random_crop(maps: Tensor, config: CropConfig, generator: torch.Generator) -> Tensor:
    """Maps that first go to a random part of the image, then through the given maps.

    A crop is an affine map without a turn, so it costs no resampling of its own: of the mapped
    image, its part; of the image, one map after the other.

    Source: Szegedy et al. 2015, "Going Deeper with Convolutions", arXiv 1409.4842, section 6.

    Args:
        maps: From output to input coordinates in [-1, 1], shape (B, 2, 3).
        config: Areas and aspect ratios of the parts.
        generator: On the device of the maps.

    Returns:
        Shape (B, 2, 3).
    """
    uniform = torch.rand((maps.shape[0], 5), generator=generator, device=maps.device)
    is_cropped = uniform[:, 0] < config.probability
    area = config.smallest + (1.0 - config.smallest) * uniform[:, 1]
    sides = torch.stack(random_sides(area, uniform[:, 2], config.aspect), 1)  # (B, 2): w, h
    sides = torch.where(is_cropped[:, None], sides, 1.0)
    centre = (uniform[:, 3:] * 2.0 - 1.0) * (1.0 - sides)  # (B, 2)
    linear = maps[:, :, :2]
    shift = maps[:, :, 2] + (linear @ centre[:, :, None]).squeeze(2)
    return torch.cat([linear * sides[:, None, :], shift[:, :, None]], 2)
