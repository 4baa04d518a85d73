"""Encoders: images in, raw embeddings out.

B batch, C channels, S image side, W width, D embedding.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from ..spaces import Conv4, EncoderConfig, ResNet18

POOLINGS = 4
"""How often Conv4 halves the image."""


class Encoder(nn.Module):
    """A backbone behind the normalisation of its training data.

    The mean and the standard deviation are buffers, so that an exported encoder carries them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: Tensor, std: Tensor) -> None:
        """Wrap a backbone.

        Args:
            backbone: Normalised images (B, C, S, S) to embeddings (B, D).
            mean: Of the training images in [0, 1], per channel, shape (C,).
            std: Likewise; a constant channel (0) is only centred.
        """
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", mean.view(1, -1, 1, 1).clone())
        safe = torch.where(std > 0, std, torch.ones_like(std))
        self.register_buffer("std", safe.view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings of images.

        Args:
            images: Float in [0, 1], shape (B, C, S, S).

        Returns:
            Embeddings, not normalised, shape (B, D).
        """
        normalised = (images - self.mean) / self.std
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.backbone(normalised))


def build_conv4(config: Conv4, channels: int, image_size: int) -> nn.Module:
    """Conv4 of the few-shot papers, with a linear head on its flattened features.

    Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv 1606.04080, section 4.1,
    with `growth=1` and `pool="last"`.

    Raises:
        ValueError: If the image is smaller than the four poolings can halve.
    """
    if image_size < 2**POOLINGS:
        raise ValueError(
            f"image_size must be >= {2**POOLINGS} with encoder conv4, which halves it "
            f"{POOLINGS} times, got image_size={image_size}"
        )
    widths = [config.width * config.growth**block for block in range(POOLINGS)]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([channels, *widths]):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        rest: list[nn.Module] = [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        rest.insert(0 if config.pool == "first" else len(rest), nn.MaxPool2d(2))
        layers += [convolution, *rest]
    side = image_size // 2**POOLINGS
    head = nn.Linear(widths[-1] * side * side, config.embedding_dim)
    return nn.Sequential(*layers, nn.Flatten(), head)


def build_resnet18(config: ResNet18, channels: int, image_size: int) -> nn.Module:
    """Torchvision's ResNet-18; its last layer becomes the linear head.

    He et al. 2016, Deep Residual Learning for Image Recognition, arXiv 1512.03385. With one
    channel, the first convolution sums the pretrained weights over the colours.
    """
    # torchvision takes a second or two to import, which Conv4 trials need not pay.
    from torchvision.models import ResNet18_Weights, resnet18

    network = resnet18(weights=ResNet18_Weights.DEFAULT if config.weights == "imagenet" else None)
    if channels != 3:
        pretrained = network.conv1.weight.detach()
        network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        if config.weights == "imagenet":
            with torch.no_grad():
                network.conv1.weight.copy_(
                    pretrained.sum(1, keepdim=True).expand_as(network.conv1.weight) / channels
                )
    network.fc = nn.Linear(network.fc.in_features, config.embedding_dim)
    return cast(nn.Module, network)


ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "conv4": build_conv4,
    "resnet18": build_resnet18,
}


def build_encoder(
    config: EncoderConfig, *, channels: int, image_size: int, mean: Tensor, std: Tensor, seed: int
) -> Encoder:
    """An encoder with weights drawn from `seed`, in channels-last layout.

    Args:
        config: Which one, and its sizes.
        channels: C of the images.
        image_size: S, pixels.
        mean: Per channel, of the training images in [0, 1], shape (C,).
        std: Likewise.
        seed: Of the random weights; the generator of the process is left as it was.

    Returns:
        The encoder, on the CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        backbone = ENCODERS[config.name](config, channels, image_size)
    return Encoder(backbone, mean, std).to(memory_format=torch.channels_last)
