"""Mirror images.

B batch, C channels, S image side.
"""

import torch
from torch import Tensor

from ...spaces.augment import FlipConfig


def random_flip(images: Tensor, config: FlipConfig, generator: torch.Generator) -> Tensor:
    """Images, some with left and right (or top and bottom) exchanged, exactly.

    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional
    Neural Networks", section 4.1.

    Args:
        images: Shape (B, C, S, S).
        config: Share of each kind.
        generator: On the device of the images.

    Returns:
        Shape (B, C, S, S).
    """
    uniform = torch.rand((images.shape[0], 2, 1, 1, 1), generator=generator, device=images.device)
    images = torch.where(uniform[:, 0] < config.horizontal, images.flip(3), images)
    return torch.where(uniform[:, 1] < config.vertical, images.flip(2), images)
