"""What a trial says of itself at each evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Report:
    """One evaluation of one trial; every value is a plain number, or names several.

    Attributes:
        step: Optimiser updates done.
        one_shot_accuracy: Mean over the frozen episodes of the validation classes, in [0, 1];
            under a task that is judged otherwise, its metric: `spaces.TASKS` names it.
        interval_low: Lower end of its 95 % interval over episodes.
        interval_high: Upper end.
        loss: Mean training loss since the last report; never a measure of progress across losses.
        active_share: Share of the terms of the loss that were not zero, since the last report.
        spread: Root mean square over dimensions of the standard deviation of unit embeddings,
            times sqrt(D): 1 = isotropic, 0 = all in one point.
        effective_rank: exp of the entropy of the normalised squared singular values.
        mean_positive_distance: Between unit embeddings of one class.
        mean_negative_distance: Between unit embeddings of different classes.
        embedding_norm: Mean norm of the raw embeddings.
        collapse_gap: |loss - its value were all embeddings one point|: a loss that rests there,
            with a low spread, has collapsed.
        seconds: Training and evaluation time of the trial so far, over all attempts.
        images_per_second: Of training, since the last report.
        is_collapsed: Whether the spread has been below the verdict's bound for three reports.
        scores: Other numbers of the task, by name.
        sizes: At the end of the budget, by number of leading dimensions (8, 16, 32, ... of more):
            accuracy of these alone, and the ends of its interval.
        processor_share: Processor seconds a second of the trial's process, 1 for one core; None
            where nobody measured.
        memory_bytes: Resident memory of that process.
        gpu_memory_bytes: Most that the trial reserved; None without a GPU.
        attempt: Which start of the trial made the report, from 1.
    """

    step: int
    one_shot_accuracy: float
    interval_low: float
    interval_high: float
    loss: float
    active_share: float
    spread: float
    effective_rank: float
    mean_positive_distance: float
    mean_negative_distance: float
    embedding_norm: float
    collapse_gap: float
    seconds: float
    images_per_second: float
    is_collapsed: bool
    scores: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    processor_share: float | None = None
    memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None
    attempt: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The report as a flat mapping of plain values."""
        return asdict(self)
