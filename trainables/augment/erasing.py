"""What is taken away: a rectangle, or single pixels.

B batch, C channels, S image side.
"""

import torch
from torch import Tensor

from ...spaces.augment import DropoutConfig, ErasingConfig
from .crop import random_sides


def random_rectangles(
    config: ErasingConfig, batch: int, side: int, generator: torch.Generator
) -> Tensor:
    """Masks of one rectangle an image: of whole pixels, wholly inside.

    Args:
        config: Areas and aspect ratios.
        batch: How many.
        side: Of an image, pixels.
        generator: Its device is that of the masks.

    Returns:
        Bool, shape (B, S, S); all False where the image keeps everything.
    """
    uniform = torch.rand((batch, 5), generator=generator, device=generator.device)
    area = config.smallest + (config.largest - config.smallest) * uniform[:, 1]
    sides = torch.stack(random_sides(area, uniform[:, 2], config.aspect), 1)  # (B, 2)
    length = (sides * side).round().clamp(min=1.0)
    start = (uniform[:, 3:] * (side - length + 1.0)).floor()  # (B, 2): left, top
    place = torch.arange(side, device=generator.device)
    is_in = (place >= start[:, :, None]) & (place < (start + length)[:, :, None])  # (B, 2, S)
    is_erased = uniform[:, 0] < config.probability
    return is_in[:, 1, :, None] & is_in[:, 0, None, :] & is_erased[:, None, None]


def random_erasing(images: Tensor, config: ErasingConfig, generator: torch.Generator) -> Tensor:
    """Images, some with a rectangle replaced.

    Source: Zhong et al. 2017, "Random Erasing Data Augmentation", arXiv 1708.04896, algorithm 1;
    DeVries, Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout",
    arXiv 1708.04552, for the zero fill.

    Args:
        images: In [0, 1], shape (B, C, S, S).
        config: Size, shape and fill of the rectangles.
        generator: On the device of the images.

    Returns:
        In [0, 1], shape (B, C, S, S).
    """
    mask = random_rectangles(config, images.shape[0], images.shape[2], generator)[:, None]
    if config.fill == "noise":
        fill = torch.rand(images.shape, generator=generator, device=images.device)
        return torch.where(mask, fill, images)
    if config.fill == "mean":
        return torch.where(mask, images.mean((2, 3), keepdim=True), images)
    return images.masked_fill(mask, 0.0)


def random_dropout(images: Tensor, config: DropoutConfig, generator: torch.Generator) -> Tensor:
    """Images, some with single pixels set to 0; what stays keeps its value.

    Source: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising
    Autoencoders", section 2.3 (masking noise); a dropout layer would scale up the rest.

    Args:
        images: In [0, 1], shape (B, C, S, S).
        config: Share of the pixels.
        generator: On the device of the images.

    Returns:
        In [0, 1], shape (B, C, S, S).
    """
    batch, _, height, width = images.shape
    device = images.device
    is_changed = torch.rand((batch, 1, 1, 1), generator=generator, device=device)
    uniform = torch.rand((batch, 1, height, width), generator=generator, device=device)
    mask = (uniform < config.share) & (is_changed < config.probability)
    return images.masked_fill(mask, 0.0)
