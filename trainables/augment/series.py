"""Random changes of series: noise, scale, order of segments.

B batch, C channels, L length, M segments.
"""

import torch
from torch import Tensor

from ...spaces.augment import JitterConfig, PermutationConfig, ScalingConfig, SeriesAugmentConfig


def augment_series(
    series: Tensor, config: SeriesAugmentConfig, generator: torch.Generator
) -> Tensor:
    """Series under their own random changes; what is off draws nothing.

    Source: Eldele et al. 2021, "Time-Series Representation Learning via Temporal and Contextual
    Contrasting", arXiv 2106.14112, section 3.1: weak is jitter and scale, strong is permutation
    and jitter. Their program scales by a factor of mean 2 and copies channel 0 to all channels;
    here the mean is 1 and channels keep apart.

    Args:
        series: Float, shape (B, C, 1, L).
        config: Probabilities and sizes.
        generator: On the device of the series.

    Returns:
        Shape (B, C, 1, L).
    """
    values = series.float()
    if config.permutation.probability > 0.0:
        values = random_permutation(values, config.permutation, generator)
    if config.scaling.probability > 0.0:
        values = random_scaling(values, config.scaling, generator)
    if config.jitter.probability > 0.0:
        values = random_jitter(values, config.jitter, generator)
    return values


def random_jitter(series: Tensor, config: JitterConfig, generator: torch.Generator) -> Tensor:
    """Some series with Gaussian noise on every value.

    Its standard deviation is `config.deviation` times that of the series' own channel.

    Args:
        series: (B, C, 1, L).
        config: Share of the series, and size of the noise.
        generator: On the device of the series.
    """
    device = series.device
    is_changed = torch.rand((len(series), 1, 1, 1), generator=generator, device=device)
    noise = torch.randn(series.shape, generator=generator, device=device)
    size = config.deviation * series.std(dim=3, keepdim=True, correction=0)
    return torch.where(is_changed < config.probability, series + size * noise, series)


def random_scaling(series: Tensor, config: ScalingConfig, generator: torch.Generator) -> Tensor:
    """Some series with each channel times a factor of its own, drawn from N(1, deviation^2).

    Args:
        series: (B, C, 1, L).
        config: Share of the series, and standard deviation of the factor.
        generator: On the device of the series.
    """
    batch, channels = series.shape[:2]
    device = series.device
    is_changed = torch.rand((batch, 1, 1, 1), generator=generator, device=device)
    normal = torch.randn((batch, channels, 1, 1), generator=generator, device=device)
    factor = 1.0 + config.deviation * normal
    return torch.where(is_changed < config.probability, series * factor, series)


def random_permutation(
    series: Tensor, config: PermutationConfig, generator: torch.Generator
) -> Tensor:
    """Some series cut into segments that change places, all channels alike.

    The number of segments is drawn from 2 to `config.segments`, the cuts anywhere.

    Args:
        series: (B, C, 1, L).
        config: Share of the series, and most segments.
        generator: On the device of the series.
    """
    order = permuted_places(
        config, len(series), series.shape[3], generator, device=series.device
    )  # (B, L)
    return series.gather(3, order[:, None, None, :].expand_as(series))


def permuted_places(
    config: PermutationConfig,
    batch: int,
    length: int,
    generator: torch.Generator,
    *,
    device: torch.device,
) -> Tensor:
    """For each place of a new series, the place of the old one that it takes its value from.

    Returns:
        int64, shape (B, L): a permutation of 0..L-1 in each row.
    """
    most = config.segments
    uniform = torch.rand((batch, 2 * most + 1), generator=generator, device=device)
    counts = 2 + (uniform[:, 0] * (most - 1)).floor()  # (B,), segments
    cuts = (uniform[:, 1 : most + 1] * length).floor()  # (B, M)
    is_cut = torch.arange(most, device=device) < (counts - 1)[:, None]
    places = torch.arange(length, device=device)
    is_past = (places >= cuts[:, :, None]) & is_cut[:, :, None]  # (B, M, L)
    segment = is_past.sum(1)  # (B, L), 0..M-1
    keys = uniform[:, most + 1 :].gather(1, segment)  # (B, L)
    is_changed = torch.rand((batch, 1), generator=generator, device=device) < config.probability
    keys = torch.where(is_changed, keys, torch.zeros_like(keys))
    return keys.argsort(dim=1, stable=True)
