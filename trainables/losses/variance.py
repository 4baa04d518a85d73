"""A term against collapse that can be added to any loss.

Letters: B batch, D embedding.
"""

import math

from torch import Tensor

from ..distances import normalise

SMALLEST_VARIANCE = 1e-4
"""Added to each variance: the root then has a gradient at a collapse."""


def variance_hinge(embeddings: Tensor, target: float, *, unit_norm: bool) -> Tensor:
    """How far the standard deviation of each dimension falls short.

    v = mean over dimensions j of max(0, target - sqrt(Var(z_j) + 1e-4))

    z are the raw embeddings, or sqrt(D) times the unit embeddings where the loss sees those: of
    isotropic ones each dimension then has a deviation of 1.

    Args:
        embeddings: (B, D), raw.
        target: Deviation to reach, > 0.
        unit_norm: Whether the loss normalises the embeddings.

    Returns:
        () in [0, target].

    Source: Bardes, Ponce, LeCun 2022: VICReg, arXiv 2105.04906, equation 1.
    """
    scaled = normalise(embeddings) * math.sqrt(embeddings.shape[1]) if unit_norm else embeddings
    scaled = scaled if scaled.dtype.itemsize >= 4 else scaled.float()
    correction = 1 if len(scaled) > 1 else 0
    deviation = (scaled.var(dim=0, correction=correction) + SMALLEST_VARIANCE).sqrt()  # (D,)
    return (target - deviation).relu().mean()
