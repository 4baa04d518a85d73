"""The arithmetic of a training step, chosen by measuring the machine.

B batch, C channels, S image side.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..spaces import AnyEncoder, from_scratch
from .encoders import build_encoder
from .machine import Seconds, measured_here

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Types of the autocast; fp32 needs none."""

WORTHWHILE = 1.05
"""A less exact arithmetic must be so many times faster: less is within the noise of a clock."""

TIMED_STEPS = 4
WARM_UP_STEPS = 2


def fastest_precision(
    encoder: AnyEncoder, shape: tuple[int, int, int, int], device: torch.device
) -> Precision:
    """The arithmetic with which the encoder trains fastest, the more exact one where in doubt.

    Forward and backward of a fresh encoder are timed in turns, once a machine, encoder and shape.

    Args:
        encoder: Which one.
        shape: Of a batch of images, (B, C, S, S).
        device: To train on.
    """
    names = candidates(device)
    if len(names) == 1:
        return names[0]
    seconds = measured_here(
        {"what": "precision", "encoder": encoder.model_dump(mode="json"), "shape": shape},
        device,
        names,
        lambda: _measure(encoder, shape, device, names),
    )
    return choose_precision(seconds)


def candidates(device: torch.device) -> tuple[Precision, ...]:
    """What is worth a measurement, the most exact first.

    Processors without 512-bit vectors emulate bf16 (measured: ten times slower), and fp16 needs a
    gradient scaler, which pays on GPUs only.
    """
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("fp32", "bf16", "fp16") if has_bf16 else ("fp32", "fp16")
    has_vectors = "AVX512" in torch.backends.cpu.get_cpu_capability()
    return ("fp32", "bf16") if has_vectors else ("fp32",)


def choose_precision(seconds: Mapping[str, float]) -> Precision:
    """The fastest of those measured, where it is worth leaving a more exact one.

    bf16 goes before fp16, whose scaler skips steps and whose range is small.
    """
    chosen: Precision = "fp32"
    for name in ("bf16", "fp16"):
        if name in seconds and seconds[name] * WORTHWHILE < seconds[chosen]:
            chosen = name
    return chosen


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The autocast context of a precision; with fp32 it does nothing."""
    dtype = DTYPES.get(precision)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    """What keeps the small gradients of fp16 from vanishing; the others need none.

    Micikevicius et al. 2018, Mixed Precision Training, arXiv 1710.03740, section 3.2.
    """
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def seconds_of_steps(
    encoders: Mapping[str, Callable[[Tensor], Tensor]],
    precisions: Mapping[str, Precision],
    images: Tensor,
) -> Seconds:
    """Fastest of a few forward and backward passes of each, in turns, after a warm-up.

    Args:
        encoders: By name; one module may stand under several names.
        precisions: Of the same names.
        images: In [0, 1], shape (B, C, S, S).
    """
    fastest = dict.fromkeys(encoders, float("inf"))
    for attempt in range(WARM_UP_STEPS + TIMED_STEPS):
        for name, encoder in encoders.items():
            start = time.perf_counter()
            with autocast(precisions[name], images.device):
                embeddings = encoder(images)
            embeddings.float().square().mean().backward()
            if images.device.type == "cuda":
                torch.cuda.synchronize(images.device)
            if attempt >= WARM_UP_STEPS:
                fastest[name] = min(fastest[name], time.perf_counter() - start)
    return fastest


def _measure(
    config: AnyEncoder,
    shape: tuple[int, int, int, int],
    device: torch.device,
    names: Sequence[Precision],
) -> Seconds:
    network = fresh_encoder(config, shape, device)
    return seconds_of_steps(
        dict.fromkeys(names, network),
        {name: name for name in names},
        torch.zeros(shape, device=device),
    )


def fresh_encoder(
    config: AnyEncoder, shape: tuple[int, int, int, int], device: torch.device
) -> nn.Module:
    """An untrained encoder for images of this shape, to measure with."""
    channels = shape[1]
    return build_encoder(
        from_scratch(config),
        channels=channels,
        image_size=(shape[2], shape[3]),
        mean=torch.zeros(channels),
        std=torch.ones(channels),
        seed=0,
    ).to(device)
