"""The optimiser of a trial: AdamW, its learning rate by step, and the average of the weights."""

import copy
import math
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ..spaces import OptimizerConfig

Network = TypeVar("Network", bound=nn.Module)


def learning_rate_at(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Learning rate of a step: linear warm-up, then cosine to zero or constant.

    Loshchilov, Hutter 2017, SGDR, arXiv 1608.03983, equation 5 without restarts.

    Args:
        config: Peak rate, share of the warm-up and schedule.
        step: From 0.
        total_steps: The budget.

    Returns:
        A rate in (0, peak].
    """
    warm_up_steps = round(config.warmup * total_steps)
    if step < warm_up_steps:
        return config.learning_rate * (step + 1) / warm_up_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - warm_up_steps) / max(1, total_steps - warm_up_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def build_optimizer(
    config: OptimizerConfig, encoder: nn.Module, objective: nn.Module
) -> torch.optim.AdamW:
    """AdamW over the encoder and what the loss learns.

    Weight decay goes to matrices and kernels only: it has no meaning for biases, normalisation
    and what a loss learns: scalars, and proxies whose norm does not count.
    """
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": config.weight_decay,
        },
        {
            "params": [p for p in parameters if p.ndim <= 1],
            "weight_decay": 0.0,
        },
        {
            "params": list(objective.parameters()),
            "weight_decay": 0.0,
            "multiple": config.objective_rate,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate, fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups one learning rate, or the multiple of it that is theirs."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("multiple", 1.0)


class WeightAverage(Generic[Network]):
    """Exponential moving average of a network's weights and buffers, kept in a copy of it.

    The decay starts low, as min(decay, (1 + step) / (10 + step)), so that the random start is
    forgotten at once (as in TensorFlow's `ExponentialMovingAverage`). Polyak, Juditsky 1992,
    Acceleration of Stochastic Approximation by Averaging.

    Attributes:
        network: The copy that holds the average.
    """

    def __init__(self, network: Network, decay: float) -> None:
        """Start from the network as it is."""
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        self._average = list(_tensors(self.network))

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network's present weights."""
        weight = 1.0 - min(self._decay, (1 + step) / (10 + step))
        floating, current = [], []
        for mean, value in zip(self._average, _tensors(network), strict=True):
            if mean.is_floating_point():
                floating.append(mean)
                current.append(value)
            else:
                mean.copy_(value)
        torch._foreach_lerp_(floating, current, weight)


def _tensors(network: nn.Module) -> Iterable[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
