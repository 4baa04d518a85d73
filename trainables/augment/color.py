"""Colour: jitter of brightness, contrast, saturation and hue; no colour at all.

B batch, C channels (1 or 3: red, green, blue), S image side.
"""

import torch
from torch import Tensor

from ...spaces.augment import ColorJitterConfig, GreyConfig


def luma(images: Tensor) -> Tensor:
    """Brightness as the eye sees it, 0.299 R + 0.587 G + 0.114 B; a grey image is its own.

    The weights are those of ITU-R BT.601, as in Pillow's conversion to grey.

    Args:
        images: Shape (B, C, S, S).

    Returns:
        Shape (B, 1, S, S).
    """
    if images.shape[1] == 1:
        return images
    return 0.299 * images[:, 0:1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]


def random_grey(images: Tensor, config: GreyConfig, generator: torch.Generator) -> Tensor:
    """Images, some with their luma in every channel.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual
    Representations", arXiv 2002.05709, appendix A.

    Args:
        images: Shape (B, C, S, S).
        config: Share of the images.
        generator: On the device of the images.

    Returns:
        Shape (B, C, S, S).
    """
    uniform = torch.rand((images.shape[0], 1, 1, 1), generator=generator, device=images.device)
    return torch.where(uniform < config.probability, luma(images), images)


def random_color_jitter(
    images: Tensor, config: ColorJitterConfig, generator: torch.Generator
) -> Tensor:
    """Images with factors of brightness, contrast and saturation and a turn of the hue.

    brightness: b x; contrast: c x + (1 - c) mean(luma(x)); saturation: s x + (1 - s) luma(x);
    each clipped to [0, 1]; hue: see `turn_hue`. They always come in this order, for a fixed
    computation; torchvision shuffles it.

    Source: Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", arXiv 1312.5402; the formulas are those of torchvision's ColorJitter.

    Args:
        images: In [0, 1], shape (B, C, S, S).
        config: The ranges.
        generator: On the device of the images.

    Returns:
        In [0, 1], shape (B, C, S, S).
    """
    uniform = torch.rand((images.shape[0], 5, 1, 1, 1), generator=generator, device=images.device)
    signed = uniform[:, :4] * 2.0 - 1.0  # (B, 4, 1, 1, 1) in [-1, 1]
    changed = (images * (1.0 + signed[:, 0] * config.brightness)).clamp(0.0, 1.0)
    mean = luma(changed).mean((2, 3), keepdim=True)
    changed = torch.lerp(mean, changed, 1.0 + signed[:, 1] * config.contrast).clamp(0.0, 1.0)
    if images.shape[1] == 3:
        factor = 1.0 + signed[:, 2] * config.saturation
        changed = torch.lerp(luma(changed), changed, factor).clamp(0.0, 1.0)
        changed = turn_hue(changed, signed[:, 3] * config.hue)
    return torch.where(uniform[:, 4] < config.probability, changed, images)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Images whose hue is turned, value and saturation kept.

    In the hexagon of HSV: with V the largest and c = V - the smallest channel, the hue h in [0, 6)
    gives each channel n = 5, 3, 1 back as V - c clip(min(k, 4 - k), 0, 1), k = (n + h) mod 6.

    Source: Smith 1978, "Color Gamut Transform Pairs"; the inverse as in
    https://en.wikipedia.org/wiki/HSL_and_HSV.

    Args:
        images: In [0, 1], shape (B, 3, S, S).
        turns: Of the whole circle: 1 changes nothing, shape (B, 1, 1, 1).

    Returns:
        In [0, 1], shape (B, 3, S, S); grey pixels, which have no hue, stay as they are.
    """
    red, green, blue = images.split(1, dim=1)
    value = images.amax(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)  # (B, 1, S, S)
    safe = torch.where(chroma > 0.0, chroma, 1.0)
    of_blue = 4.0 + (red - green) / safe
    of_green = 2.0 + (blue - red) / safe
    of_red = (green - blue) / safe
    hue = torch.where(value == red, of_red, torch.where(value == green, of_green, of_blue))
    hue = hue + 6.0 * turns
    channels = []
    for number in (5.0, 3.0, 1.0):
        place = torch.remainder(number + hue, 6.0)
        channels.append(value - chroma * torch.minimum(place, 4.0 - place).clamp(0.0, 1.0))
    return torch.cat(channels, 1)
