"""A study as TensorBoard reads it: one run a trial, with its reports and its choices.

tensorboard --logdir runs/STUDY/tensorboard
"""

import math
import shutil
from pathlib import Path

from .folder import StudyError, trial_folder_name
from .leaderboard import METRIC
from .records import TrialRecord
from .report.flat import flattened
from .study import Study

NOT_SCALARS = ("step", "is_collapsed")


def write_tensorboard(study: Study, folder: Path) -> int:
    """Write the event files of every trial that has reported.

    Args:
        study: What to write.
        folder: Made anew: it must not exist, or hold nothing but an earlier writing of this.

    Returns:
        Number of trials written.

    Raises:
        StudyError: If the folder holds something else.
    """
    if folder.exists():
        others = [path.name for path in folder.iterdir() if not path.name.startswith("trial_")]
        if others:
            raise StudyError(
                f"--to must be a new folder or an earlier one of this command, got {folder}: it "
                f"holds {others[0]}"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    started = {trial.number: trial.datetime_start for trial in study.optuna_trials()}
    written = 0
    for record in study.records():
        if record.reports:
            begun = started[record.number]
            _write(record, folder, begun.timestamp() if begun else 0.0)
            written += 1
    return written


def _write(record: TrialRecord, folder: Path, begun: float) -> None:
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    place = folder / trial_folder_name(record.number)
    with SummaryWriter(str(place), write_to_disk=True) as writer:
        for report in record.reports:
            for name, value in report.to_dict().items():
                is_scalar = isinstance(value, int | float) and name not in NOT_SCALARS
                if is_scalar and math.isfinite(value):
                    # The time is the trial's own clock, so that "relative" reads as it trained.
                    writer.add_scalar(name, value, report.step, begun + report.seconds)
        values = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in flattened(record.recipe.to_dict()).items()
        }
        for summary in hparams(values, {METRIC: None}):
            writer.file_writer.add_summary(summary)
