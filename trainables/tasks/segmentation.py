"""Generated pictures with known masks, and how well a linear layer finds them in an encoder's map.

I pictures, C channels, S side, F features, h and w sides of a map, K kinds of surface.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from ..encoders import Encoder

KINDS = 4
"""Background, and three textures of shapes."""
NUM_PICTURES = 96
RIDGE = 1e-2


@dataclass(frozen=True)
class SegmentedShapes:
    """Pictures of textured shapes on a textured ground.

    Attributes:
        images: In [0, 1], (I, C, S, S).
        kinds: Kind of surface at each position of the encoder's map, (I, h, w) int64: the one
            that covers most of the position.
    """

    images: Tensor
    kinds: Tensor

    @classmethod
    def drawn(
        cls, channels: int, side: int, map_size: tuple[int, int], *, seed: int
    ) -> "SegmentedShapes":
        """Draw the pictures: two shapes each, a disc or a box, at random.

        Args:
            channels: C.
            side: S, pixels.
            map_size: h and w.
            seed: Of the draw.
        """
        random = np.random.default_rng((seed, 7))
        y, x = np.mgrid[:side, :side] / side
        images = np.empty((NUM_PICTURES, channels, side, side), np.float32)
        kinds = np.zeros((NUM_PICTURES, side, side), np.int64)
        for image, kind in zip(images, kinds, strict=True):
            for shape in random.choice(np.arange(1, KINDS), 2, replace=False):
                centre, size = random.uniform(0.25, 0.75, 2), random.uniform(0.15, 0.3)
                across = np.abs(np.stack([x - centre[0], y - centre[1]]))
                is_in = np.hypot(*across) < size if random.random() < 0.5 else across.max(0) < size
                kind[is_in] = shape
            image[:] = _textured(kind, x, y, random, channels)
        shares = one_hot(torch.from_numpy(kinds), KINDS).permute(0, 3, 1, 2).float()
        most = adaptive_avg_pool2d(shares, map_size).argmax(1)  # (I, h, w)
        return cls(torch.from_numpy(images), most)


def _textured(
    kind: np.ndarray, x: np.ndarray, y: np.ndarray, random: np.random.Generator, channels: int
) -> np.ndarray:
    """Stripes that run another way for each kind, with a random phase, brightness and noise."""
    texture = np.zeros(kind.shape)
    for number in range(KINDS):
        angle = np.pi * number / KINDS
        wave = np.cos(2 * np.pi * (6 * (x * np.cos(angle) + y * np.sin(angle)) + random.random()))
        texture = np.where(kind == number, wave, texture)
    level = random.uniform(0.35, 0.65, (channels, 1, 1))
    noise = random.normal(0, 0.05, (channels, *kind.shape))
    textured: np.ndarray = (level + 0.3 * texture + noise).clip(0, 1)
    return textured


@torch.no_grad()
def linear_segmentation(encoder: Encoder, shapes: SegmentedShapes) -> float:
    """Mean over kinds of the intersection over union of a linear layer's segmentation.

    The layer is fitted by ridge regression on the positions of half of the pictures, and scored
    on those of the other half.

    Args:
        encoder: In evaluation mode; its map is looked at.
        shapes: The pictures.

    Returns:
        In [0, 1].
    """
    encoder.eval()
    maps = encoder.feature_map(shapes.images.to(encoder.mean.device)).float().cpu()
    features = maps.permute(0, 2, 3, 1)  # (I, h, w, F)
    half = len(features) // 2
    train, test = (
        (part.flatten(0, 2), truth.flatten())
        for part, truth in (
            (features[:half], shapes.kinds[:half]),
            (features[half:], shapes.kinds[half:]),
        )
    )
    mean, std = train[0].mean(0), train[0].std(0).clamp_min(1e-6)
    design, target = _with_constant((train[0] - mean) / std), one_hot(train[1], KINDS).float()
    gram = design.T @ design + RIDGE * len(design) * torch.eye(design.shape[1])
    weights = torch.linalg.solve(gram, design.T @ target)  # (F + 1, K)
    predicted = (_with_constant((test[0] - mean) / std) @ weights).argmax(1)
    return mean_intersection_over_union(test[1], predicted, KINDS)


def mean_intersection_over_union(truth: Tensor, predicted: Tensor, num_kinds: int) -> float:
    """Mean over the kinds that occur in either of intersection / union."""
    both = torch.bincount(truth[truth == predicted], minlength=num_kinds).float()
    either = (
        torch.bincount(truth, minlength=num_kinds)
        + torch.bincount(predicted, minlength=num_kinds)
        - both
    )
    return float((both / either.clamp_min(1))[either > 0].mean())


def _with_constant(features: Tensor) -> Tensor:
    return torch.cat([features, torch.ones(len(features), 1)], 1)
