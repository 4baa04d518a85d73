"""Keeps the disk from filling up with checkpoints: the best trials' and the running ones' stay."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import labels
from .folder import StudyFolder
from .records import TrialRecord


class CheckpointBudget:
    """Removes the checkpoints of finished trials that are not among the best.

    A trial that may still go on keeps all that it has: Ray Tune keeps its newest two. A finished
    one keeps the newest, a failed one none.
    """

    def __init__(self, folder: StudyFolder, most: int, past: Sequence[TrialRecord]) -> None:
        """Keep within a budget.

        Args:
            folder: Of the study.
            most: Finished trials that keep a checkpoint.
            past: Trials of earlier starts.
        """
        self._folder = folder
        self._most = most
        self._kept: dict[int, tuple[bool, float]] = {}
        for record in past:
            if record.state in ("complete", "pruned") and folder.checkpoints(record.number):
                self._kept[record.number] = _worth(record)
        self._trim()

    def ended(self, record: TrialRecord) -> None:
        """A trial is over."""
        checkpoints = self._folder.checkpoints(record.number)
        for path in checkpoints if record.state == "failed" else checkpoints[1:]:
            remove(path)
        if record.state == "failed" or not checkpoints:
            return
        self._kept[record.number] = _worth(record)
        self._trim()

    def _trim(self) -> None:
        """The worst go; of equals, the newer."""
        while len(self._kept) > self._most:
            worst = min(self._kept, key=lambda number: (self._kept[number], -number))
            del self._kept[worst]
            for path in self._folder.checkpoints(worst):
                remove(path)


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint with its folder: the file first, so that no half of one is found."""
    with suppress(OSError):  # what cannot be removed now is looked at again at the next start
        checkpoint.unlink(missing_ok=True)
        shutil.rmtree(checkpoint.parent, ignore_errors=True)


def _worth(record: TrialRecord) -> tuple[bool, float]:
    """Complete trials first, which alone are exported by themselves; then by accuracy."""
    report = record.last_report
    if report is None or not labels.is_ranked(record):
        return False, -1.0
    return record.state == "complete", report.one_shot_accuracy
