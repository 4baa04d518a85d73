"""How large an encoder is, without weights to load or to download."""

import torch

from ...spaces import AnyEncoder, from_scratch
from .building import build_encoder


def num_parameters(config: AnyEncoder, *, channels: int, image_size: int | tuple[int, int]) -> int:
    """Trained and frozen weights of an encoder; built once with random ones, then forgotten.

    Args:
        config: Which encoder; the weights that it may name are not read.
        channels: Of the images.
        image_size: Side of square images, or (height, width), pixels.

    Raises:
        ValueError: If the images do not suit the encoder, or its library is not installed.
    """
    encoder = build_encoder(
        from_scratch(config),
        channels=channels,
        image_size=image_size,
        mean=torch.zeros(channels),
        std=torch.ones(channels),
        seed=0,
    )
    return sum(weights.numel() for weights in encoder.parameters())
