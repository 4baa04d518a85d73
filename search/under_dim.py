"""The best model of few dimensions: trials by what their leading dimensions score."""

from collections.abc import Sequence
from dataclasses import replace

from .records import TrialRecord


def under_dim(records: Sequence[TrialRecord], dim: int) -> tuple[TrialRecord, ...]:
    """Every trial at the most dimensions that it was scored at, up to `dim`.

    A trial of more dimensions stands with its leading 8, 16, 32, ... on the principal axes of its
    training embeddings, as `export --under-dim` writes it. Larger trials that were stopped before
    these were scored are left out.

    Args:
        records: All trials.
        dim: Most dimensions.

    Raises:
        ValueError: If `dim` is less than 1.
    """
    if dim < 1:
        raise ValueError(f"--under-dim must be >= 1, got {dim}")
    sizes = {record.number: leading_size(record, dim) for record in records}
    return tuple(
        record
        if sizes[record.number] == record.recipe.encoder.embedding_dim
        else _at(record, size)
        for record in records
        if (size := sizes[record.number]) is not None
    )


def leading_size(record: TrialRecord, dim: int) -> int | None:
    """The most dimensions up to `dim` that a trial was scored at; None where there are none."""
    own = record.recipe.encoder.embedding_dim
    if own <= dim:
        return own
    report = record.last_report
    return max((int(s) for s in (report.sizes if report else {}) if int(s) <= dim), default=None)


def _at(record: TrialRecord, size: int) -> TrialRecord:
    last = record.reports[-1]
    accuracy, low, high = last.sizes[str(size)]
    shrunk = replace(last, one_shot_accuracy=accuracy, interval_low=low, interval_high=high)
    return replace(record, reports=(*record.reports[:-1], shrunk), size=size)
