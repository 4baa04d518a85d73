"""Reports that no training made."""

from dataclasses import replace
from typing import Any

from tripletune.trainables.report import Report


def report(step: int, accuracy: float, **changes: Any) -> Report:
    """A healthy report of a trial that trains four steps a second.

    Args:
        step: Of the trial.
        accuracy: One-shot, in the middle of an interval of +-0.012.
        changes: Other fields of the report.
    """
    made = Report(
        step=step,
        one_shot_accuracy=accuracy,
        interval_low=accuracy - 0.012,
        interval_high=accuracy + 0.012,
        loss=1.0,
        active_share=0.5,
        spread=0.9,
        effective_rank=20.0,
        mean_positive_distance=0.5,
        mean_negative_distance=1.2,
        embedding_norm=3.0,
        collapse_gap=0.4,
        seconds=step / 4,
        images_per_second=900.0,
        is_collapsed=False,
    )
    return replace(made, **changes)
