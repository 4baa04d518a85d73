"""Early stopping: Ray Tune's schedulers by name, told what an earlier start of the study saw."""

from .asha import PairedASHA
from .median import ResumableMedian
from .registry import SCHEDULERS, build_scheduler

__all__ = ["SCHEDULERS", "PairedASHA", "ResumableMedian", "build_scheduler"]
