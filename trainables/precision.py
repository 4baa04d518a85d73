"""The arithmetic of a training step, chosen by measuring the machine."""

import time
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16"]

TIMED_STEPS = 4
WARM_UP_STEPS = 2


def choose_precision(
    requested: Literal["auto", "fp32", "bf16"], encoder: nn.Module, images: Tensor
) -> Precision:
    """The precision to train in.

    `auto` times the encoder's forward and backward under both and takes bf16 autocast only where
    it is faster. Processors without 512-bit vectors emulate bf16 (measured: ten times slower), so
    there it is not even tried.

    Args:
        requested: From the recipe.
        encoder: The encoder, on its device; its gradients and buffers are left as they were.
        images: A batch to time it on, float, shape (B, C, S, S), on the same device.

    Returns:
        `fp32` or `bf16`.
    """
    if requested != "auto":
        return requested
    if images.device.type == "cpu" and "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return "fp32"
    if images.device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "fp32"
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    seconds = {name: _seconds_per_step(encoder, images, name) for name in ("fp32", "bf16")}
    encoder.load_state_dict(state)
    encoder.zero_grad(set_to_none=True)
    return "bf16" if seconds["bf16"] < seconds["fp32"] else "fp32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The autocast context of a precision; outside bf16 it does nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _seconds_per_step(encoder: nn.Module, images: Tensor, precision: str) -> float:
    """Fastest of a few forward and backward passes, after a warm-up."""
    fastest = float("inf")
    for attempt in range(WARM_UP_STEPS + TIMED_STEPS):
        start = time.perf_counter()
        with autocast("bf16" if precision == "bf16" else "fp32", images.device):
            embeddings = encoder(images)
        embeddings.float().square().mean().backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        if attempt >= WARM_UP_STEPS:
            fastest = min(fastest, time.perf_counter() - start)
    return fastest
