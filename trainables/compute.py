"""The `compute` section of a trial with everything that was left to a measurement decided."""

import torch

from ..spaces import ComputeConfig, Recipe, is_frozen
from .compiling import StepMode, fastest_mode
from .precision import Precision, fastest_precision


def decide_compute(
    recipe: Recipe, shape: tuple[int, int, int, int], device: torch.device
) -> tuple[ComputeConfig, Precision, StepMode]:
    """What a trial really uses: as the recipe says, or what was measured to be fastest.

    The head of a frozen backbone is too small to gain by any: `auto` measures nothing there.

    Args:
        recipe: Its `compute` section may say `auto`.
        shape: Of a batch of images, (B, C, S, S).
        device: To train on.

    Returns:
        The section without `auto`, its precision and its mode.
    """
    compute = recipe.compute
    is_head = is_frozen(recipe.encoder)
    precision: Precision
    mode: StepMode
    if compute.precision != "auto":
        precision = compute.precision
    elif is_head:
        precision = "fp32"
    else:
        precision = fastest_precision(recipe.encoder, shape, device)
    if compute.compile != "auto":
        mode = compute.compile
    elif is_head:
        mode = "off"
    else:
        mode = fastest_mode(recipe.encoder, shape, precision, device, recipe.budget.steps)
    decided = ComputeConfig(precision=precision, threads=torch.get_num_threads(), compile=mode)
    return decided, precision, mode
