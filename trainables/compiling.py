"""The encoder of a training step: as it is, compiled, or as a CUDA graph, whichever is fastest.

B batch, C channels, S image side.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from ..spaces import AnyEncoder
from .machine import Seconds, measured_here
from .precision import (
    WORTHWHILE,
    Precision,
    autocast,
    fresh_encoder,
    seconds_of_steps,
)

StepMode = Literal["off", "compile", "graph"]
Shape = tuple[int, int, int, int]

START: dict[StepMode, str] = {"compile": "compile_start", "graph": "graph_start"}
"""Names of the seconds from an encoder to the end of its first step in each mode."""

LEAST_START_S = 60.0
"""What a first compilation costs at least; on two processors it was 110 to 130 seconds."""

MOST_SAVED = 0.2
"""Share of an encoder's time that compiling may be hoped to save. Measured for Conv4-64 on a
processor it saves none: its step took 1.5 to 1.9 times as long as the plain one."""

PAYS_WITHIN = 1 / 3
"""Share of the budget in which the start must be earned back: most trials are stopped early."""


def fastest_mode(
    encoder: AnyEncoder,
    shape: Shape,
    precision: Precision,
    device: torch.device,
    steps: int,
) -> StepMode:
    """The mode in which a trial of so many steps ends first, its start included.

    It is measured once a machine, encoder, shape and precision. Where a hoped for fifth
    of the time of all steps would not pay for a compilation, none is tried.

    Args:
        encoder: Which one.
        shape: Of a batch of images, (B, C, S, S).
        precision: Of the trial.
        device: To train on.
        steps: Budget of the trial.
    """
    modes = possible_modes(device)
    if not modes:
        return "off"
    question = {
        "encoder": encoder.model_dump(mode="json"),
        "shape": shape,
        "precision": precision,
    }
    plain = measured_here(
        {"what": "step", **question},
        device,
        ("off",),
        lambda: _measure(encoder, shape, precision, device, ()),
    )
    if plain["off"] * steps * PAYS_WITHIN * MOST_SAVED < LEAST_START_S:
        modes = tuple(mode for mode in modes if mode != "compile")
        if not modes:
            return "off"
    names = ("off", *modes, *(START[mode] for mode in modes))
    seconds = measured_here(
        {"what": "modes", "modes": modes, **question},
        device,
        names,
        lambda: _measure(encoder, shape, precision, device, modes),
    )
    return choose_mode(seconds, steps)


def possible_modes(device: torch.device) -> tuple[StepMode, ...]:
    """What is worth a measurement besides `off`; compiling needs a compiler of C++."""
    has_compiler = any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    compiled: tuple[StepMode, ...] = ("compile",) if has_compiler else ()
    return (*compiled, "graph") if device.type == "cuda" else compiled


def choose_mode(seconds: Mapping[str, float], steps: int) -> StepMode:
    """The mode that saves most over a trial; `off` unless one earns its start back early.

    Args:
        seconds: Of a step in each mode, and of the modes' starts.
        steps: Budget of the trial.
    """
    plain = seconds["off"]
    chosen: StepMode = "off"
    most_saved = 0.0
    for mode in ("graph", "compile"):
        if mode not in seconds or seconds[mode] * WORTHWHILE >= plain:
            continue
        saved = (plain - seconds[mode]) * steps
        start = seconds[START[mode]]
        if saved * PAYS_WITHIN > start and saved - start > most_saved:
            chosen, most_saved = mode, saved - start
    return chosen


def in_mode(
    mode: StepMode,
    encoder: nn.Module,
    shape: Shape,
    precision: Precision,
    device: torch.device,
) -> Callable[[Tensor], Tensor]:
    """The encoder as a training step calls it.

    Its parameters and buffers stay where they are, so that checkpoints, averages and evaluations
    go on with `encoder` itself.

    Args:
        mode: `compile` compiles at the first call; `graph` records forward and backward now.
        encoder: In training mode.
        shape: Of every batch, (B, C, S, S).
        precision: Of the trial.
        device: Of the encoder.

    Raises:
        ValueError: For a graph without a GPU.
    """
    if mode == "off":
        return encoder
    if mode == "compile":
        return cast(Callable[[Tensor], Tensor], torch.compile(encoder, dynamic=False))
    if device.type != "cuda":
        raise ValueError(
            "compute.compile must be auto, off or compile on a processor, got graph: CUDA graphs "
            "need a GPU"
        )
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    context = autocast(precision, device)
    # Casts that the context keeps would be freed with it, under the graph that reads them.
    with torch.autocast(
        device.type, context.fast_dtype, enabled=context._enabled, cache_enabled=False
    ):
        torch.cuda.make_graphed_callables(encoder, (torch.zeros(shape, device=device),))
    # The rehearsals before the recording moved the statistics of batch normalisation.
    encoder.load_state_dict(before)
    return encoder


def _measure(
    config: AnyEncoder,
    shape: Shape,
    precision: Precision,
    device: torch.device,
    modes: tuple[StepMode, ...],
) -> Seconds:
    """Seconds of a step in each mode, and of the start of each but `off`."""
    images = torch.zeros(shape, device=device)
    plain = fresh_encoder(config, shape, device)
    encoders: dict[str, nn.Module | Callable[[Tensor], Tensor]] = {"off": plain}
    starts: Seconds = {}
    for mode in modes:
        start = time.perf_counter()
        try:
            module = fresh_encoder(config, shape, device)
            encoder = in_mode(mode, module, shape, precision, device)
            with autocast(precision, device):
                embeddings = encoder(images)
            embeddings.float().square().mean().backward()
            _same_or_raise(embeddings, plain, images, precision)
        except Exception:  # whatever a compiler says: the mode is not to be had here
            starts[START[mode]] = float("inf")
        else:
            encoders[mode] = encoder
            starts[START[mode]] = time.perf_counter() - start
    seconds = seconds_of_steps(encoders, dict.fromkeys(encoders, precision), images)
    return dict.fromkeys(modes, float("inf")) | seconds | starts


def _same_or_raise(
    embeddings: Tensor, plain: nn.Module, images: Tensor, precision: Precision
) -> None:
    """From the same weights, both must give the same embeddings, to rounding."""
    with autocast(precision, images.device):
        expected = plain(images)
    tolerance = 1e-3 if precision == "fp32" else 5e-2
    torch.testing.assert_close(
        embeddings.float(), expected.float(), rtol=tolerance, atol=tolerance
    )
