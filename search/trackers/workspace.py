"""A saved view of a study in W&B, made by `wandb-workspaces`: the extra `workspaces`."""

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..study import Study
from .server_runs import ServerRuns, WandbError, mapped

SCORE = "best_one_shot_accuracy"


def save_workspace(study: Study, project: str) -> str:
    """Save a view of the study's runs.

    Curves, parallel coordinates and importance of the values that the study searches, accuracy
    against time, and the comparer of runs, over the trials of the study alone.

    Returns:
        Its address.

    Raises:
        WandbError: Without the extra, or where the server takes no saved views.
    """
    if find_spec("wandb_workspaces") is None:
        raise WandbError(
            "saved views need the package wandb-workspaces: pip install 'tripletune[workspaces]'"
        )
    server = ServerRuns(project)
    with mapped(server.path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is written for an older pydantic
        return str(_workspace(study, server.path).save().url)


def _workspace(study: Study, path: str) -> Any:
    # By name: it has no types.
    reports: Any = import_module("wandb_workspaces.reports.v2")
    workspaces: Any = import_module("wandb_workspaces.workspaces")
    column, score = reports.ParallelCoordinatesPlotColumn, reports.SummaryMetric(SCORE)
    recipes = [column(reports.Config(name)) for name in searched_values(study)]
    panels = [
        reports.LinePlot(x="Step", y=["one_shot_accuracy"], title="One-shot accuracy"),
        reports.ParallelCoordinatesPlot(columns=[*recipes, column(score)], title="Recipes"),
        reports.ParameterImportancePlot(with_respect_to=SCORE),
        reports.ScatterPlot(
            x=reports.SummaryMetric("seconds"), y=score, title="Accuracy against time"
        ),
        reports.RunComparer(diff_only="split"),
    ]
    group, job_type = workspaces.Metric("Group"), workspaces.Metric("JobType")
    entity, project = path.split("/")
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=study.name,
        sections=[workspaces.Section(name=study.name, panels=panels, is_open=True)],
        runset_settings=workspaces.RunsetSettings(
            filters=[group == study.name, job_type == "trial"]
        ),
    )


def searched_values(study: Study) -> list[str]:
    """The values of a recipe that differ between the study's trials, as W&B names them."""
    seen: dict[str, set[str]] = {}
    for record in study.records():
        for name, value in _flat(record.recipe.to_dict()):
            seen.setdefault(name, set()).add(repr(value))
    return [name for name, values in seen.items() if len(values) > 1]


def _flat(values: object, name: str = "") -> list[tuple[str, object]]:
    if not isinstance(values, dict):
        return [(name, values)]
    return [
        pair
        for key, value in values.items()
        for pair in _flat(value, f"{name}.{key}" if name else str(key))
    ]
