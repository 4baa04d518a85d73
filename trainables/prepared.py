"""What the trials of one data set share on one device: images, statistics and episodes.

I images, C channels, S image side.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..spaces import EvaluationConfig
from .data import TrialData
from .episodes import Episodes, draw_episodes
from .features import FeatureCache


@dataclass(frozen=True)
class PreparedData:
    """A data set on its device, ready for any number of trials.

    Attributes:
        data: Training and validation sets as they were loaded.
        train_images: uint8, shape (I, C, S, S).
        validation_images: uint8, shape (I, C, S, S).
        episodes: The frozen episodes over the validation set.
        mean: Of the training images in [0, 1], shape (C,).
        std: Likewise.
        features: Of frozen backbones on these images.
    """

    data: TrialData
    train_images: Tensor
    validation_images: Tensor
    episodes: Episodes
    mean: Tensor
    std: Tensor
    features: FeatureCache = field(default_factory=FeatureCache, compare=False)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.train_images.device


def prepare(data: TrialData, evaluation: EvaluationConfig, device: torch.device) -> PreparedData:
    """Move a data set to a device and draw its episodes.

    Raises:
        ValueError: If the validation set cannot hold the episodes.
    """
    mean, std = _channel_statistics(data.train.images)
    return PreparedData(
        data=data,
        train_images=_to_device(data.train.images, device),
        validation_images=_to_device(data.validation.images, device),
        episodes=draw_episodes(data.validation, evaluation),
        mean=mean,
        std=std,
    )


def _to_device(images: np.ndarray, device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # Arrays of the object store are read-only; nothing here writes to them.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(images).to(device)


def _channel_statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel in [0, 1], from exact histograms."""
    values = np.arange(256) / 255.0
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].reshape(-1), minlength=256)
        mean = float(counts @ values / counts.sum())
        means.append(mean)
        stds.append(float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum())))
    return torch.tensor(means), torch.tensor(stds)
