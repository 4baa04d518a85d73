"""Log-sum-exp over a part of each row, at the price of one softmax.

Letters: B anchors, R references.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_sum_exp(values: Tensor, mask: Tensor, scale: float = 1.0) -> Tensor:
    """Log sum_j exp(scale * v_ij) over the masked j of each row.

    The gradient is the softmax, which is what the value was read from: nothing else is kept.

    Args:
        values: (B, R).
        mask: bool, of a shape that broadcasts to (B, R).
        scale: Of the values; may be negative.

    Returns:
        (B,). In a row without a masked value it is the lowest finite number, not -inf, and its
        gradient is to be kept out by the caller: -inf would turn it into NaN.
    """
    found: Tensor = _LogSumExp.apply(values, mask, scale)
    return found


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        lowest = torch.finfo(values.dtype).min
        scaled = (values * scale).masked_fill_(~mask, lowest)
        shares = torch.softmax(scaled, 1)  # (B, R)
        # The largest share belongs to the largest value, and is at least 1/R.
        largest = scaled.amax(1)
        ctx.save_for_backward(shares)
        ctx.scale = scale
        return largest - shares.amax(1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (shares,) = ctx.saved_tensors
        return shares * (gradient * ctx.scale)[:, None], None, None
