"""Gaussian blur.

B batch, C channels, S image side.
"""

import torch
from torch import Tensor

from ...spaces.augment import BlurConfig


def random_blur(images: Tensor, config: BlurConfig, generator: torch.Generator) -> Tensor:
    """Images, some blurred by a Gaussian of a standard deviation of their own.

    Along each axis, x_i becomes sum_j w_ij x_j with w_ij proportional to exp(-(i - j)^2 / (2
    sigma^2)) and sum_j w_ij = 1, over the pixels that there are: nothing is invented at the
    border. As a matrix product, whatever sigma is.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual
    Representations", arXiv 2002.05709, appendix A; there the kernel ends at 10 % of the side.

    Args:
        images: In [0, 1], shape (B, C, S, S).
        config: Range of sigma, pixels.
        generator: On the device of the images.

    Returns:
        In [0, 1], shape (B, C, S, S).
    """
    batch, _, side, _ = images.shape
    uniform = torch.rand((batch, 2, 1, 1), generator=generator, device=images.device)
    sigma = config.smallest + (config.largest - config.smallest) * uniform[:, 1]  # (B, 1, 1)
    place = torch.arange(side, device=images.device, dtype=images.dtype)
    weights = (-0.5 * ((place[:, None] - place[None, :]) / sigma).square()).exp()  # (B, S, S)
    weights = (weights / weights.sum(2, keepdim=True))[:, None]  # (B, 1, S, S)
    blurred = (weights @ images @ weights.mT).clamp(0.0, 1.0)  # rounding may pass 1
    return torch.where(uniform[:, :1] < config.probability, blurred, images)
