"""Trains one recipe without a search: same trial, same reports, same pages, same export."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..spaces import Recipe, Space, recipe_to_yaml
from ..trainables import (
    PreparedData,
    Report,
    Trial,
    TrialData,
    default_device,
    load_trial_data,
    prepare,
    require_place,
)
from ..trainables.data import Progress, unseen
from .datasets import describe_data, score_baselines
from .export import ExportOptions, export_trial, write_export
from .folder import CHECKPOINT_FILE, StudyFolder, new_study_folder, trial_folder_name
from .options import SearchOptions
from .remote_data import localized
from .scores import selection_scores
from .study import Study
from .study_settings import StudySettings, versions

Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """A recipe ready to be trained on its data.

    Attributes:
        recipe: What to train.
        data: Loaded.
        prepared: On the device, with the frozen episodes.
        baselines: Scores on them that need no training.
    """

    recipe: Recipe
    data: TrialData
    prepared: PreparedData
    baselines: dict[str, dict[str, Any]]

    def run(self, say: Say, *, until: int | None = None) -> tuple[Trial, list[Report]]:
        """Train from scratch to the end of the budget, or to an earlier report.

        Args:
            say: Told each report as a line.
            until: Step of the last report; None trains the whole budget.

        Raises:
            ValueError: If the data do not fit the recipe.
            FloatingPointError: If training diverges.
        """
        trial = Trial(self.recipe, self.prepared)
        reports: list[Report] = []
        while not trial.is_done and (until is None or trial.step < until):
            trial.train_to_report()
            reports.append(trial.evaluate())
            say(_line(reports[-1], self.recipe))
        return trial, reports


def load_training(recipe: Recipe, say: Say, progress: Progress = unseen) -> Training:
    """Load the data of a recipe and score the baselines.

    Args:
        recipe: What to train.
        say: Told what was skipped or decided while loading, and the baselines.
        progress: Told how far the decoding is, where there is any.

    Raises:
        ValueError: If the data cannot be used, or cannot hold the episodes.
    """
    data = load_trial_data(localized(recipe.data), progress=progress)
    for note in data.notes:
        say(note)
    prepared = prepare(data, recipe.evaluation, default_device())
    baselines = score_baselines(prepared)
    for name, baseline in baselines.items():
        say(f"{name} on the same episodes: {baseline['one_shot_accuracy']:.4f}")
    return Training(recipe, data, prepared, baselines)


def train_recipe(
    recipe: Recipe,
    say: Say,
    to: Path | None = None,
    progress: Progress = unseen,
    *,
    study: StudyFolder | None = None,
) -> Report:
    """Train a recipe from scratch to the end of its budget.

    On one machine, with the precision and threads that the recipe names, the reports equal those
    of the trial that the recipe came from.

    Args:
        recipe: What to train.
        say: Told each report as a line.
        to: Folder to export to; None exports nothing.
        progress: Told how far the decoding is, where there is any.
        study: Where to keep the run as a study of one trial, with its best/ and its leaderboard;
            None keeps nothing.

    Returns:
        The last report.

    Raises:
        ValueError: If the data cannot be used or do not fit the recipe.
        FloatingPointError: If training diverges.
        StudyError: If the study exists, or cannot be written.
    """
    if to is not None:
        require_place(to)
    if study is not None:
        study.require_new()
    training = load_training(recipe, say, progress)
    trial, reports = training.run(say)
    if study is not None:
        _keep(study, training, trial, reports)
    if to is not None:
        scores = selection_scores(
            trial.recipe,
            reports,
            data=describe_data(training.data),
            episodes=training.prepared.episodes.digest,
            baselines=training.baselines,
            versions=versions(),
            origin={"study": None, "trial": None, "best_of": 1},
        )
        write_export(
            trial.state_dict(),
            trial.recipe,
            training.data.preprocessing,
            training.data.validation,
            scores,
            to,
            ExportOptions(),
        )
        say(f"exported to {to}")
    return reports[-1]


def new_training_folder(name: str | None, recipe: Recipe, runs: Path) -> StudyFolder:
    """The folder of a run: by default named for its loss and the time.

    Raises:
        ValueError: If the name cannot be that of a folder.
        StudyError: If there is a study of that name.
    """
    loss = recipe.objective.loss.name
    folder = new_study_folder(name or f"train-{loss}-{datetime.now():%Y%m%d-%H%M%S}", runs)
    folder.require_new()
    return folder


def _keep(folder: StudyFolder, training: Training, trial: Trial, reports: list[Report]) -> None:
    """Keep a run as a study of one trial: every command that looks into a study takes it."""
    recipe, data = training.recipe, training.data
    settings = StudySettings(
        space=recipe_to_yaml(recipe),
        options=SearchOptions(trials=1, wandb="off").to_dict(),
        data={recipe.data.key: describe_data(data)},
        episodes=training.prepared.episodes.digest,
        baselines=training.baselines,
        versions=versions(),
    )
    folder.make()
    with folder.claimed():
        study = Study.create(folder, settings)
        number = study.ask(Space.from_text(settings.space, origin=folder.name)).number
        study.start(number)
        place = folder.tune / "start-000" / trial_folder_name(number) / "checkpoint_000000"
        place.mkdir(parents=True)
        trial.save(place / CHECKPOINT_FILE)
        for report in reports:
            study.report(number, report, is_last=report is reports[-1])
        study.keep_episode_scores(number, reports[-1].step, trial.episode_scores)
        study.finish(number)
        study.leaderboard().to_csv(folder.leaderboard)
        options = ExportOptions(datasets={recipe.data.key: data})
        export_trial(study, study.record(number), folder.best, options)


def _line(report: Report, recipe: Recipe) -> str:
    return (
        f"step {report.step:5d}/{recipe.budget.steps}  accuracy {report.one_shot_accuracy:.4f} "
        f"[{report.interval_low:.4f}, {report.interval_high:.4f}]  loss {report.loss:.4f}  "
        f"{report.seconds:.0f} s" + ("  collapsed" if report.is_collapsed else "")
    )
