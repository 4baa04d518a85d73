"""What frozen backbones make of the images: computed once, shared by the trials of a process.

I images, F features, h and w sides of a map, D embedding.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..spaces import AnyEncoder, HeadConfig
from .embedding import to_float
from .encoders import Encoder

if TYPE_CHECKING:
    from .prepared import PreparedData

KEPT = 4
"""Backbones whose features are kept; those used longest ago are forgotten first."""
BATCH = 256


@dataclass(frozen=True)
class Features:
    """Features of a data set, shape (I, F), or maps (I, F, h, w) before a pooling that learns.

    Attributes:
        train: Of the training images.
        validation: Of the validation images.
    """

    train: Tensor
    validation: Tensor


class FeatureCache:
    """The features of the last few frozen backbones on one data set.

    Attributes:
        weights: Of backbones that were trained here before they were frozen, by their key.
    """

    def __init__(self) -> None:
        self.weights: dict[str, dict[str, Tensor]] = {}
        self._kept: OrderedDict[str, Features] = OrderedDict()

    def get(self, key: str, compute: Callable[[], Features]) -> Features:
        """The features of that name, computed at their first use."""
        if key not in self._kept:
            self._kept[key] = compute()
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


def backbone_key(config: AnyEncoder, seed: int) -> str:
    """Names a frozen backbone: two encoders of one key have the same features.

    The head's layers do not count, and the seed only where the backbone's weights come from it. A
    file of weights counts with its size and time, so that another one in its place is noticed.
    """
    plain = HeadConfig(pool=config.head.pool)
    backbone = config.model_copy(update={"head": plain, "embedding_dim": 2})
    weights = getattr(config, "weights", "none")
    origin = f"seed {seed}"
    if weights != "none":
        stat = Path(weights).stat() if Path(weights).is_absolute() else None
        origin = f"{stat.st_size} {stat.st_mtime_ns}" if stat else ""
    return f"{backbone.model_dump_json()} {origin}"


@torch.no_grad()
def compute_features(encoder: Encoder, images: Tensor) -> Tensor:
    """Features of all images, in fp32.

    Args:
        encoder: Left in evaluation mode.
        images: uint8, shape (I, C, S, S), on any device.
    """
    encoder.eval()
    device = encoder.mean.device
    return torch.cat([encoder.features(to_float(part.to(device))) for part in images.split(BATCH)])


def shared_features(
    config: AnyEncoder, seed: int, encoder: Encoder, prepared: "PreparedData"
) -> Features:
    """The features of a frozen backbone, those of an earlier trial if they are there.

    Args:
        config: Of the encoder.
        seed: Of the trial.
        encoder: Left in evaluation mode where its features had to be computed.
        prepared: The data, which keep the features.
    """
    return prepared.features.get(
        backbone_key(config, seed),
        lambda: Features(
            compute_features(encoder, prepared.train_images),
            compute_features(encoder, prepared.validation_images),
        ),
    )


@torch.inference_mode()
def embed_features(encoder: Encoder, features: Tensor) -> Tensor:
    """Raw embeddings (I, D) of features, as `embed` gives those of images.

    Args:
        encoder: Left in evaluation mode.
        features: Of `compute_features`.
    """
    encoder.eval()
    return torch.cat([encoder.embed_features(part) for part in features.split(BATCH)])


def require_same_backbone(encoder: Encoder, state: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint whose frozen backbone is not the one of the features.

    Raises:
        ValueError: If a value of the backbone differs from the checkpoint's.
    """
    for name, value in encoder.backbone.state_dict().items():
        if not torch.equal(value, state[f"backbone.{name}"].to(value.device)):
            raise ValueError(
                f"encoder.weights must still be those that the checkpoint began with, got "
                f"another {name}: put the file back, or start the trial anew"
            )
