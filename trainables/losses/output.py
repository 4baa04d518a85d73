"""What a loss gives back, and the means that most of them end in."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class LossOutput:
    """The value of a loss and how much of the batch it came from; nothing here waits for a GPU.

    Attributes:
        value: (), to be lowered. Exactly 0, with a graph, where the batch has no valid term.
        active_share: () in [0, 1], active terms among all that the batch could have given: for
            triplets, all that the miner's rule was applied to. 0 where there are none.
        num_active: () int64, terms that are valid and not zero.
    """

    value: Tensor
    active_share: Tensor
    num_active: Tensor


def mean_where(mask: Tensor, terms: Tensor) -> Tensor:
    """The mean of the masked terms; exactly 0, with a graph, where the mask is empty.

    Args:
        mask: bool, any shape.
        terms: The same shape, finite also where the mask is false.

    Returns:
        ().
    """
    return terms.masked_fill(~mask, 0.0).sum() / mask.sum().clamp_min(1)


def mean_over(mask: Tensor, terms: Tensor) -> LossOutput:
    """The output of a loss that is the mean of its valid terms; exactly 0 if there is none.

    Args:
        mask: bool, the valid terms.
        terms: The same shape, finite also where the mask is false.
    """
    count = mask.sum().clamp_min(1)
    valid = terms.masked_fill(~mask, 0.0)
    num_active = (valid > 0.0).sum()
    return LossOutput(valid.sum() / count, num_active / count, num_active)


def mean_over_all(terms: Tensor) -> LossOutput:
    """The output of a loss that is the mean of its terms, all valid, at least one."""
    num_active = (terms > 0.0).sum()
    return LossOutput(terms.mean(), num_active / terms.numel(), num_active)


def value_with_gradient(value: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
    """A value whose gradient is known already.

    A loss that sums over triplets knows its gradient by each distance as soon as it knows its
    value. Handing it over spares the graph of B^2 S terms.

    Args:
        value: (), detached.
        variable: What the value depends on, live.
        gradient: Of the value by the variable; its shape, detached.

    Returns:
        (), live.
    """
    live: Tensor = _Known.apply(value, variable, gradient)
    return live


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[None, Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return None, gradient * factor, None
