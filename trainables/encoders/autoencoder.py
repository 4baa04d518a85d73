"""A convolutional encoder whose latent vector a decoder can turn back into the image.

B batch, C channels, S image side, F latent size.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

if TYPE_CHECKING:
    from ...spaces import Autoencoder

FACTORS = (1, 2, 4, 8)
"""Channels of each convolution, in units of the first one's: 32, 64, 128, 256 in the original."""


class Trunk(nn.Module):
    """Convolutions of stride 2, then one linear layer: images to latent vectors."""

    def __init__(self, config: "Autoencoder", channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [channels, *(config.width * factor for factor in FACTORS)]
        for inputs, outputs in pairwise(widths):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.sides = _sides(size)
        self.latent = nn.Linear(widths[-1] * self.sides[-1][0] * self.sides[-1][1], config.latent)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, S, S) to (B, F); of a VAE, the mean of the posterior."""
        return cast(Tensor, self.latent(self.layers(images)))


def build_autoencoder(config: "Autoencoder", channels: int, size: tuple[int, int]) -> nn.Module:
    """The encoder's half: convolutions of stride 2 with batch norm, and the latent layer.

    The program Berack96/upo-AIContrastive: Conv 32-64-128-256, a latent vector of 128 values.
    """
    return Trunk(config, channels, size)


class Decoder(nn.Module):
    """The way back, which only training needs; of a VAE, the posterior's variance too."""

    def __init__(self, trunk: Trunk, config: "Autoencoder", channels: int) -> None:
        super().__init__()
        widths = [config.width * factor for factor in reversed(FACTORS)]
        height, width = trunk.sides[-1]
        self._shape = (widths[0], height, width)
        self.first = nn.Linear(config.latent, widths[0] * height * width)
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise([*widths, channels])):
            layers += [
                nn.ReLU(inplace=True),
                nn.Upsample(size=trunk.sides[-2 - place], mode="nearest"),
                nn.Conv2d(inputs, outputs, 3, padding=1),
            ]
        self.layers = nn.Sequential(*layers)
        self.log_variance = (
            nn.Linear(trunk.latent.in_features, config.latent) if config.variational else None
        )

    def forward(self, latent: Tensor) -> Tensor:
        """(B, F) to the logits of images in [0, 1], (B, C, S, S)."""
        return cast(Tensor, self.layers(self.first(latent).unflatten(1, self._shape)))


def reconstruction_loss(
    trunk: Trunk,
    decoder: Decoder,
    normalised: Tensor,
    images: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Cross-entropy of the pixels, and for a VAE the divergence from the unit normal.

    Kingma, Welling 2013, Auto-Encoding Variational Bayes, arXiv 1312.6114, equation 10: the sum
    over pixels plus KL = -1/2 sum(1 + log s^2 - m^2 - s^2), both divided by the number of pixels.

    Args:
        trunk: Encoder.
        decoder: And back.
        normalised: What the trunk sees of the images, (B, C, S, S).
        images: In [0, 1], (B, C, S, S).
        generator: Of the posterior's draw.
    """
    hidden = trunk.layers(normalised)
    mean = trunk.latent(hidden)  # (B, F)
    if decoder.log_variance is None:
        return binary_cross_entropy_with_logits(decoder(mean), images)
    log_variance = decoder.log_variance(hidden)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    drawn = mean + (0.5 * log_variance).exp() * noise
    divergence = -0.5 * (1.0 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    pixels = binary_cross_entropy_with_logits(decoder(drawn), images)
    return pixels + cast(Tensor, divergence) / images[0].numel()


def _sides(size: tuple[int, int]) -> Sequence[tuple[int, int]]:
    """Height and width of the image, and after each convolution."""
    sides = [size]
    for _ in FACTORS:
        height, width = sides[-1]
        sides.append(((height + 1) // 2, (width + 1) // 2))
    return sides
