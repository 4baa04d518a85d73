"""The arithmetic of a training step, chosen by measuring the machine."""

import time
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from ..spaces import AnyEncoder, from_scratch
from .encoders import build_encoder

Precision = Literal["fp32", "bf16"]

TIMED_STEPS = 4
WARM_UP_STEPS = 2


@lru_cache(maxsize=32)
def fastest_precision(
    encoder: AnyEncoder, shape: tuple[int, int, int, int], device: torch.device
) -> Precision:
    """bf16 where the encoder trains faster under its autocast, else fp32.

    Forward and backward of a fresh encoder are timed under both, once a process. Processors
    without 512-bit vectors emulate bf16 (measured: ten times slower): there it is not even tried.

    Args:
        encoder: Which one.
        shape: Of a batch of images, (B, C, S, S).
        device: To train on.
    """
    if device.type == "cpu" and "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return "fp32"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "fp32"
    channels = shape[1]
    network = build_encoder(
        from_scratch(encoder),
        channels=channels,
        image_size=shape[2:],
        mean=torch.zeros(channels),
        std=torch.ones(channels),
        seed=0,
    ).to(device)
    images = torch.zeros(shape, device=device)
    is_faster = _seconds_per_step(network, images, "bf16") < _seconds_per_step(
        network, images, "fp32"
    )
    return "bf16" if is_faster else "fp32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The autocast context of a precision; outside bf16 it does nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _seconds_per_step(encoder: nn.Module, images: Tensor, precision: Precision) -> float:
    """Fastest of a few forward and backward passes, after a warm-up."""
    fastest = float("inf")
    for attempt in range(WARM_UP_STEPS + TIMED_STEPS):
        start = time.perf_counter()
        with autocast(precision, images.device):
            embeddings = encoder(images)
        embeddings.float().square().mean().backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        if attempt >= WARM_UP_STEPS:
            fastest = min(fastest, time.perf_counter() - start)
    return fastest
