"""What a loss gives back."""

from dataclasses import dataclass

from torch import Tensor


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


def summarise(
    value: Tensor, mask: Tensor, terms: Tensor, num_candidates: Tensor | None = None
) -> LossOutput:
    """The output of a loss with these terms.

    Args:
        value: ().
        mask: bool, the valid terms.
        terms: The same shape.
        num_candidates: () int64, terms before a miner's choice; None takes the valid ones.
    """
    num_active = (mask & (terms > 0.0)).sum()
    candidates = mask.sum() if num_candidates is None else num_candidates
    return LossOutput(value, num_active / candidates.clamp_min(1), num_active)
