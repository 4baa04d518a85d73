"""Exports the model of a study's trial."""

from pathlib import Path

from ..trainables import export_checkpoint
from ..trainables.data import read_preprocessing
from .folder import StudyError
from .records import TrialRecord
from .scores import selection_scores
from .study import Study


def export_best(study: Study, folder: Path) -> TrialRecord | None:
    """Export the best trial that trained its whole budget.

    Returns:
        The trial; None if no trial is complete yet, and then nothing is written.
    """
    best = study.leaderboard().best
    if best is None:
        return None
    export_trial(study, best, folder)
    return best


def export_trial(study: Study, record: TrialRecord, folder: Path) -> None:
    """Export one trial's newest checkpoint, which is that of its last report.

    Raises:
        StudyError: If the trial failed (its weights may be no numbers) or is not over (its score
            may be newer than its weights), or its checkpoint is gone.
    """
    if record.state not in ("complete", "pruned"):
        why = record.failure or f"go on with `{study.folder.command('resume')}` first"
        raise StudyError(f"trial {record.number} of study {study.name} is {record.state}: {why}")
    checkpoints = study.folder.checkpoints(record.number)
    if not checkpoints or not record.reports:
        raise StudyError(
            f"trial {record.number} of study {study.name} has no checkpoint to export"
        )
    description = study.settings.data[record.recipe.data.key]
    export_checkpoint(
        checkpoints[0],
        record.recipe,
        read_preprocessing(description["preprocessing"]),
        selection_scores(
            record.recipe,
            record.reports,
            data=description,
            episodes=study.settings.episodes,
            baselines=study.settings.baselines,
            versions=study.settings.versions,
            origin={
                "study": study.name,
                "trial": record.number,
                "best_of": len(study.records()),
            },
        ),
        folder,
    )
