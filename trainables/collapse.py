"""Signs that an encoder maps everything to one point.

Letters: B items, D embedding.

A hinge loss at rest at its margin looks like a slow learner, and with batch norm even the accuracy
hides a collapse: ranking survives tiny distances. The spread of the embeddings shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .distances import normalise

SMALLEST_SPREAD = 0.1
"""Below it an encoder counts as collapsed. Trained encoders stand at 0.4 to 0.95."""

NUM_REPORTS = 3
"""How many reports in a row it takes: the first steps of a healthy run may dip."""


SIGNS_PAIRS = 256
"""Pairs of neighbouring validation images that a trial reads the signs from."""


@dataclass(frozen=True)
class CollapseSigns:
    """What a batch of embeddings says of a collapse.

    Attributes:
        spread: Root mean square over dimensions of the standard deviation of unit embeddings,
            times sqrt(D); in [0, 1], 1 = isotropic, 0 = all in one point.
        effective_rank: exp of the entropy of the normalised squared singular values of the
            centred unit embeddings; in [1, D], or 0 where all are in one point. It stays high for
            tiny noise, so it is never a verdict alone.
        mean_positive_distance: Of unit embeddings of one class; NaN if no class has two.
        mean_negative_distance: Of unit embeddings of different classes; NaN for a single class.
        embedding_norm: Mean Euclidean norm of the raw embeddings.
    """

    spread: float
    effective_rank: float
    mean_positive_distance: float
    mean_negative_distance: float
    embedding_norm: float


@torch.no_grad()
def collapse_signs(embeddings: Tensor, labels: Tensor) -> CollapseSigns:
    """The signs in a batch; for reports, not for a training step: it waits for the device.

    Args:
        embeddings: (B, D), raw, B >= 2, any floating type and device.
        labels: (B,) int64.

    Raises:
        ValueError: If an embedding is NaN or infinite, or there are fewer than two.

    Source: effective rank by Roy, Vetterli 2007: The effective rank: a measure of effective
    dimensionality.
    """
    # On the CPU in float64: some devices have no float64, and none is needed for speed.
    raw = embeddings.detach().cpu().double()  # (B, D)
    if len(raw) < 2:
        raise ValueError(f"embeddings must have at least 2 rows, got {len(raw)}")
    num_broken = int((~raw.isfinite().all(dim=1)).sum())
    if num_broken > 0:
        raise ValueError(f"embeddings must be finite, got {num_broken} rows of NaN or infinity")
    unit = normalise(raw)
    centred = unit - unit.mean(dim=0)
    distances = torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")  # (B, B)
    labels = labels.cpu()
    is_positive = (labels[:, None] == labels[None, :]).fill_diagonal_(False)  # (B, B)
    is_negative = labels[:, None] != labels[None, :]
    return CollapseSigns(
        # sqrt(mean_d var_d) * sqrt(D) = sqrt(sum_d var_d)
        spread=float(centred.square().mean(dim=0).sum().sqrt()),
        effective_rank=_effective_rank(centred),
        mean_positive_distance=float(distances[is_positive].mean()),
        mean_negative_distance=float(distances[is_negative].mean()),
        embedding_norm=float(torch.linalg.vector_norm(raw, dim=1).mean()),
    )


def spread_pairs(num_images: int) -> np.ndarray:
    """Images to read the signs from, spread over the set; neighbours are mostly of one class."""
    first = np.linspace(0, num_images - 2, min(SIGNS_PAIRS, num_images - 1)).astype(np.int64)
    return np.unique(np.stack([first, first + 1]))


def is_collapsed(spreads: Sequence[float]) -> bool:
    """Whether the spread was below 0.1 in each of the last three reports.

    Args:
        spreads: One a report, in time order; fewer than three are never a verdict.
    """
    last = spreads[-NUM_REPORTS:]
    return len(last) == NUM_REPORTS and all(spread < SMALLEST_SPREAD for spread in last)


def _effective_rank(centred: Tensor) -> float:
    num_items, dim = centred.shape
    gram = centred.T @ centred if dim <= num_items else centred @ centred.T
    energies = torch.linalg.eigvalsh(gram).clamp_min(0.0)  # squared singular values
    total = energies.sum()
    if total == 0.0:
        return 0.0
    shares = energies / total
    return float(torch.special.entr(shares).sum().exp())
