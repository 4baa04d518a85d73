"""The encoder: images in, raw embeddings out.

B batch, C channels, H height, W width, F features, D embedding.
"""

from typing import Self, cast

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """A backbone behind the normalisation of its training data, a pooling and a head.

    The mean and the standard deviation are buffers, so that an exported encoder carries them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: nn.Module, pool: nn.Module, head: nn.Module, mean: Tensor, std: Tensor
    ) -> None:
        """Put the parts together.

        Args:
            backbone: Normalised images (B, C, H, W) to a map (B, F, h, w) or vectors (B, F).
            pool: Its map to vectors.
            head: Vectors to embeddings (B, D).
            mean: Of the training images in [0, 1], per channel, shape (C,).
            std: Likewise; a constant channel (0) is only centred.
        """
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.head = head
        self._does_pool_learn = any(True for _ in pool.parameters())
        self.register_buffer("mean", mean.view(1, -1, 1, 1).clone())
        safe = torch.where(std > 0, std, torch.ones_like(std))
        self.register_buffer("std", safe.view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings of images.

        Args:
            images: Float in [0, 1], shape (B, C, H, W).

        Returns:
            Embeddings, not normalised, shape (B, D).
        """
        return self.embed_features(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """What the head sees of images; with a frozen backbone, it never changes.

        Args:
            images: Float in [0, 1], shape (B, C, H, W).

        Returns:
            Shape (B, F); before a pooling that learns, the map, (B, F, h, w).
        """
        features = self.feature_map(images)
        return cast(Tensor, features if self._does_pool_learn else self.pool(features))

    def feature_map(self, images: Tensor) -> Tensor:
        """What the backbone makes of images: a map (B, F, h, w), or vectors (B, F)."""
        normalised = (images - self.mean) / self.std
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.backbone(normalised))

    def embed_map(self, features: Tensor) -> Tensor:
        """Raw embeddings, (B, D), of what `feature_map` gave."""
        return cast(Tensor, self.head(self.pool(features)))

    def embed_features(self, features: Tensor) -> Tensor:
        """Raw embeddings, (B, D), of what `features` gave."""
        return cast(Tensor, self.head(self.pool(features) if self._does_pool_learn else features))

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; frozen layers stay in evaluation mode, as do their statistics."""
        super().train(mode)
        for layer in self.backbone.modules():
            if is_frozen_layer(layer):
                layer.eval()
        return self


def is_frozen_layer(layer: nn.Module) -> bool:
    """Whether the layer has weights of its own, and none of them is trained."""
    own = list(layer.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)
