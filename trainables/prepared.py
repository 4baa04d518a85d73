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
from .data.array_file import rows_at_once
from .episodes import Episodes, Stream, draw_episodes
from .features import FeatureCache

GPU_SHARE = 0.5
"""Of a GPU's free memory, what the images may take; the rest is for training."""


@dataclass(frozen=True)
class PreparedData:
    """A data set on its device, ready for any number of trials.

    Sets that fit lie whole on the device. Those that do not stay where they are, mapped from a
    file or in memory, and are read batch by batch.

    Attributes:
        data: Training and validation sets as they were loaded.
        device: To train on.
        train_images: uint8, shape (I, C, S, S), on the device if it `is_whole`.
        validation_images: uint8, shape (I, C, S, S), likewise.
        episodes: The frozen episodes over the validation set.
        mean: Of the training images in [0, 1], shape (C,).
        std: Likewise.
        features: Of frozen backbones on these images.
    """

    data: TrialData
    device: torch.device
    train_images: Tensor
    validation_images: Tensor
    episodes: Episodes
    mean: Tensor
    std: Tensor
    features: FeatureCache = field(default_factory=FeatureCache, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether all images are on the device, and not mapped from a file."""
        is_mapped = isinstance(self.data.train.images, np.memmap)
        return not is_mapped and self.train_images.device.type == self.device.type


def prepare(
    data: TrialData,
    evaluation: EvaluationConfig,
    device: torch.device,
    *,
    stream: Stream = "search",
) -> PreparedData:
    """Move a data set to a device and draw its episodes.

    Args:
        data: Training and validation images.
        evaluation: Of the episodes.
        device: To train on.
        stream: What the episodes are for; `confirm` gives a list that no search has seen.

    Raises:
        ValueError: If the validation set cannot hold the episodes.
    """
    mean, std = _channel_statistics(data.train.images)
    place = device if _fits(data, device) else torch.device("cpu")
    return PreparedData(
        data=data,
        device=device,
        train_images=_to_device(data.train.images, place),
        validation_images=_to_device(data.validation.images, place),
        episodes=draw_episodes(data.validation, evaluation, stream=stream),
        mean=mean,
        std=std,
    )


def _fits(data: TrialData, device: torch.device) -> bool:
    """Whether the images can lie on the device: not mapped, and at most half of a GPU."""
    sides = (data.train.images, data.validation.images)
    if any(isinstance(images, np.memmap) for images in sides):
        return False
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(images.nbytes for images in sides) <= free * GPU_SHARE


def _to_device(images: np.ndarray, device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # Arrays of the object store are read-only; nothing here writes to them.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(images).to(device)


def _channel_statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel: of images in [0, 1], from exact histograms."""
    if images.dtype == np.float32:
        values = images.astype(np.float64)
        mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
        return torch.from_numpy(mean).float(), torch.from_numpy(std).float()
    return _pixel_statistics(images)


def _pixel_statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    values = np.arange(256) / 255.0
    histograms = np.zeros((images.shape[1], 256), np.int64)
    step = rows_at_once(images)
    for start in range(0, len(images), step):
        part = images[start : start + step]
        for channel, histogram in enumerate(histograms):
            histogram += np.bincount(part[:, channel].reshape(-1), minlength=256)
    means, stds = [], []
    for counts in histograms:
        mean = float(counts @ values / counts.sum())
        means.append(mean)
        stds.append(float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum())))
    return torch.tensor(means), torch.tensor(stds)
