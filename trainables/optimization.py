"""The optimiser of a trial: AdamW, its learning rate by step, and the average of the weights."""

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ..spaces import OptimizerConfig
from .encoders.encoder import Encoder, is_frozen_layer

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
    """AdamW over what is trained of the encoder, and what the loss learns.

    Weight decay goes to matrices and kernels only: it has no meaning for biases, normalisation
    and what a loss learns: scalars, and proxies whose norm does not count.
    """
    groups = [
        *_groups(config, encoder),
        {
            "params": list(objective.parameters()),
            "weight_decay": 0.0,
            "multiple": config.objective_rate,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate, fused=True
    )


def _groups(config: OptimizerConfig, encoder: nn.Module) -> list[dict[str, Any]]:
    """The groups of the encoder; those of its backbone apart where they have their own rate."""
    trained = [p for p in encoder.parameters() if p.requires_grad]
    rates = {1.0: trained}
    if config.backbone_rate != 1.0 and isinstance(encoder, Encoder):
        backbone = set(encoder.backbone.parameters())
        rates = {
            config.backbone_rate: [p for p in trained if p in backbone],
            1.0: [p for p in trained if p not in backbone],
        }
    groups: list[dict[str, Any]] = []
    for multiple, parameters in rates.items():
        kernels = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups += [
            {"params": kernels, "weight_decay": config.weight_decay, "multiple": multiple},
            {"params": others, "weight_decay": 0.0, "multiple": multiple},
        ]
    return groups


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
        names = list(_names_that_change(network))
        self._average = _tensors(self.network, names)
        self._names = names

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network's present weights."""
        weight = 1.0 - min(self._decay, (1 + step) / (10 + step))
        floating, current = [], []
        for mean, value in zip(self._average, _tensors(network, self._names), strict=True):
            if mean.is_floating_point():
                floating.append(mean)
                current.append(value)
            else:
                mean.copy_(value)
        torch._foreach_lerp_(floating, current, weight)


def _names_that_change(network: nn.Module) -> Iterator[str]:
    """The weights that are trained, and the buffers of all but frozen layers."""
    for prefix, layer in network.named_modules():
        own = [name for name, p in layer.named_parameters(recurse=False) if p.requires_grad]
        if not is_frozen_layer(layer):
            own += [name for name, _ in layer.named_buffers(recurse=False)]
        yield from (f"{prefix}.{name}" if prefix else name for name in own)


def _tensors(network: nn.Module, names: Iterable[str]) -> list[Tensor]:
    found = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return [found[name] for name in names]
