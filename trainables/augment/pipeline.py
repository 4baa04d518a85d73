"""All augmentations in their order, on the device that holds the batch.

Shapes are fixed, every image draws numbers of its own from the step's generator, and nothing waits
for the device. What is off draws nothing, so that it changes nothing about the rest.

B batch, C channels, S image side.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ...spaces import AugmentConfig
from .affine import random_affine
from .blur import random_blur
from .color import random_color_jitter, random_grey
from .crop import random_crop
from .elastic import random_elastic
from .erasing import random_dropout, random_erasing
from .flip import random_flip
from .series import augment_series

_OF_VALUES: Mapping[str, Callable[[Tensor, Any, torch.Generator], Tensor]] = MappingProxyType(
    {
        "flip": random_flip,
        "color_jitter": random_color_jitter,
        "grey": random_grey,
        "blur": random_blur,
        "erasing": random_erasing,
        "dropout": random_dropout,
    }
)
"""Those that change images, by their section of the configuration."""

AUGMENTATIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"affine": random_affine, "crop": random_crop, "elastic": random_elastic, **_OF_VALUES}
)
"""Every augmentation, in the order in which they apply; the first three are one map."""


def augment(
    images: Tensor, config: AugmentConfig, quarter_turns: Tensor, generator: torch.Generator
) -> Tensor:
    """Images under their own random changes and quarter turns, in the order of `AUGMENTATIONS`.

    Affine map, crop and elastic warp move pixels; they are one map, sampled once. What comes in
    from outside is background (0) for one channel, and the nearest edge pixel for colour, where no
    value is background.

    Series know none of these: they are changed by `augment_series`.

    Args:
        images: uint8, shape (B, C, S, S); or float series, shape (B, C, 1, L).
        config: Ranges and probabilities.
        quarter_turns: Shape (B,).
        generator: On the device of the images.

    Returns:
        Float images in [0, 1], shape (B, C, S, S); or series.
    """
    if images.is_floating_point():
        return augment_series(images, config.series, generator)
    return augment_by(images, config, draw_maps(config, quarter_turns, generator), generator)


def draw_maps(config: AugmentConfig, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
    """Affine map and crop of each image, from output to input coordinates, (B, 2, 3)."""
    maps = random_affine(config, quarter_turns, generator)
    return random_crop(maps, config.crop, generator) if is_on(config, "crop") else maps


def augment_by(
    images: Tensor, config: AugmentConfig, maps: Tensor, generator: torch.Generator
) -> Tensor:
    """What `augment` gives, under maps that are known.

    Args:
        images: uint8, shape (B, C, S, S).
        config: Of all that comes after the maps.
        maps: Of `draw_maps`.
        generator: On the device of the images.
    """
    grid = affine_grid(maps, list(images.shape), align_corners=False)  # (B, S, S, 2)
    if is_on(config, "elastic"):
        grid = random_elastic(grid, config.elastic, generator)
    padding = "zeros" if images.shape[1] == 1 else "border"
    values = grid_sample(
        images.float().div_(255.0), grid, padding_mode=padding, align_corners=False
    )
    for name, change in _OF_VALUES.items():
        if is_on(config, name):
            values = change(values, getattr(config, name), generator)
    return values


def is_on(config: AugmentConfig, name: str) -> bool:
    """Whether an augmentation can change an image at all.

    Args:
        config: Of all of them.
        name: One of `AUGMENTATIONS`.
    """
    if name == "affine":
        return config.probability > 0.0
    if name == "flip":
        return config.flip.horizontal > 0.0 or config.flip.vertical > 0.0
    return bool(getattr(config, name).probability > 0.0)
