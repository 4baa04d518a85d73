"""Trains one recipe without a search: same trial, same reports, same export."""

from collections.abc import Callable
from pathlib import Path

from ..spaces import Recipe
from ..trainables import Report, Trial, default_device, load_trial_data, prepare, require_place
from ..trainables.data import Progress, unseen
from .datasets import describe_data, score_baselines
from .export import ExportOptions, write_export
from .remote_data import localized
from .scores import selection_scores
from .study_settings import versions


def train_recipe(
    recipe: Recipe, say: Callable[[str], None], to: Path | None, progress: Progress = unseen
) -> Report:
    """Train a recipe from scratch to the end of its budget.

    On one machine, with the precision and threads that the recipe names, the reports equal those
    of the trial that the recipe came from.

    Args:
        recipe: What to train.
        say: Told each report as a line.
        to: Folder to export to; None exports nothing.
        progress: Told how far the decoding is, where there is any.

    Returns:
        The last report.

    Raises:
        ValueError: If the data cannot be used or do not fit the recipe.
        FloatingPointError: If training diverges.
    """
    if to is not None:
        require_place(to)
    data = load_trial_data(localized(recipe.data), progress=progress)
    for note in data.notes:
        say(note)
    prepared = prepare(data, recipe.evaluation, default_device())
    baselines = score_baselines(prepared)
    for name, baseline in baselines.items():
        say(f"{name} on the same episodes: {baseline['one_shot_accuracy']:.4f}")
    trial = Trial(recipe, prepared)
    reports: list[Report] = []
    while not trial.is_done:
        trial.train_to_report()
        reports.append(trial.evaluate())
        say(_line(reports[-1], recipe))
    if to is not None:
        scores = selection_scores(
            trial.recipe,
            reports,
            data=describe_data(data),
            episodes=prepared.episodes.digest,
            baselines=baselines,
            versions=versions(),
            origin={"study": None, "trial": None, "best_of": 1},
        )
        write_export(
            trial.state_dict(),
            trial.recipe,
            data.preprocessing,
            data.validation,
            scores,
            to,
            ExportOptions(),
        )
        say(f"exported to {to}")
    return reports[-1]


def _line(report: Report, recipe: Recipe) -> str:
    return (
        f"step {report.step:5d}/{recipe.budget.steps}  accuracy {report.one_shot_accuracy:.4f} "
        f"[{report.interval_low:.4f}, {report.interval_high:.4f}]  loss {report.loss:.4f}  "
        f"{report.seconds:.0f} s" + ("  collapsed" if report.is_collapsed else "")
    )
