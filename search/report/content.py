"""A study as plain data for its page: everything that can be shown without a trained model."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial

from ...trainables.report import Report
from .. import labels
from ..leaderboard import METRIC, Leaderboard, Row
from ..records import TrialRecord
from ..study import Study
from .dimensions import dimensions, distinct
from .flat import Flat, divided, flattened
from .importance import importances

FORMAT = 1
"""Of the content; the page's script reads this one."""

CURVE = ("step", "one_shot_accuracy", "spread", "loss", "seconds", "images_per_second")
"""What the page keeps of every report; of the last one it keeps all."""

DIGITS = 5
"""Significant digits of a number on the page."""


def study_content(study: Study) -> dict[str, Any]:
    """Everything that the page shows of the trials of a study."""
    board = study.leaderboard()
    records = [row.record for row in board.rows]
    trials = {trial.number: trial for trial in study.optuna_trials()}
    recipes = [flattened(record.recipe.to_dict()) for record in records]
    common, varying = divided(recipes)
    parameters = study.space.parameters()
    sizes = _sizes(study, records)
    evaluation = records[0].recipe.evaluation if records else None
    return {
        "format": FORMAT,
        "study": study.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "metric": METRIC,
        "planned": study.settings.options.get("trials"),
        "protocol": evaluation.model_dump() if evaluation else None,
        "scheduler": study.settings.options.get("scheduler"),
        "seed": study.settings.options.get("seed"),
        "data": _data(study, records),
        "episodes": study.settings.episodes,
        "versions": dict(study.settings.versions),
        "space": study.settings.space,
        "baselines": _baselines(board),
        "dimensions": dimensions(parameters),
        "labels": distinct(parameter.name for parameter in parameters),
        "common": common,
        "varying": varying,
        "report_fields": _report_fields(records),
        "curve_fields": list(CURVE),
        "rungs": _rungs(records),
        "trials": [
            _trial(row, trials[row.record.number], recipe, varying, sizes[row.record.number])
            for row, recipe in zip(board.rows, recipes, strict=True)
        ],
        "best": board.best.number if board.best else None,
        "optimism": _number(board.optimism),
        "importance": [found.to_json() for found in importances(list(trials.values()), records)],
    }


def _trial(
    row: Row, trial: FrozenTrial, recipe: Flat, varying: Sequence[str], size: int | None
) -> dict[str, Any]:
    record, content = row.record, row.to_json()
    last = record.last_report
    return {
        # What the leaderboard says of it: columns that others add are shown too.
        **{key: _number(value) for key, value in content.items() if key not in ("recipe",)},
        "ranked": labels.is_ranked(record),
        "word": labels.state_word(record),
        "budget": record.recipe.budget.steps,
        "learning_rate": record.recipe.optimizer.learning_rate,
        "size": size,
        "images_per_second": _number(last.images_per_second) if last else None,
        "started": trial.datetime_start.isoformat(timespec="seconds")
        if trial.datetime_start
        else None,
        "params": {name: _number(value) for name, value in trial.params.items()},
        "values": [_number(recipe.get(key)) for key in varying],
        "curve": [[_number(getattr(report, name)) for name in CURVE] for report in record.reports],
        "last": [_number(value) for value in last.to_dict().values()] if last else [],
        "note": labels.failure_line(record)
        if record.state == "failed" or labels.is_collapsed(record)
        else None,
    }  # fmt: skip


def _baselines(board: Leaderboard) -> list[dict[str, Any]]:
    return [
        {
            "name": name.replace("_", " "),
            "value": _number(score["one_shot_accuracy"]),
            "interval": [_number(end) for end in score["interval"]],
        }
        for name, score in board.baselines.items()
    ]


def _data(study: Study, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Of the first data section; those of one study hold the same images."""
    section: Mapping[str, Any] = next(iter(study.settings.data.values()), {})
    kept = ("fingerprint", "split", "train_classes", "train_images", "validation_classes")
    described = {key: section.get(key) for key in (*kept, "validation_images", "notes")}
    name = records[0].recipe.data.name if records else None
    path = records[0].recipe.data.path if records else None
    # Of a folder on disk its own name: a page is passed on, and a path tells of its machine.
    shown = path.replace("\\", "/").rstrip("/").rpartition("/")[2] if path else name
    return described | {"name": shown}


def _rungs(records: Sequence[TrialRecord]) -> list[int]:
    """Steps at which trials were stopped early: the rungs of the search, as they were met."""
    return sorted(
        {
            record.last_report.step
            for record in records
            if record.state == "pruned" and record.last_report and not labels.is_collapsed(record)
        }
    )


def _report_fields(records: Sequence[TrialRecord]) -> list[str]:
    reports: list[Report] = [record.last_report for record in records if record.last_report]
    return list(reports[0].to_dict()) if reports else []


def data_section(study: Study, record: TrialRecord) -> Mapping[str, Any]:
    """What the study says of a trial's data; of a study that an older version wrote, its only one.

    Raises:
        KeyError: If there are several, and none is the trial's.
    """
    sections = study.settings.data
    if len(sections) == 1:
        return next(iter(sections.values()))
    return sections[record.recipe.data.key]


def _sizes(study: Study, records: Sequence[TrialRecord]) -> dict[int, int | None]:
    """Weights of each trial's encoder; None where they cannot be counted here."""
    from ...trainables.encoders.size import num_parameters

    known: dict[str, int | None] = {}
    sizes: dict[int, int | None] = {}
    for record in records:
        encoder, data = record.recipe.encoder, record.recipe.data
        key = f"{encoder.model_dump_json()} {data.key}"
        if key not in known:
            try:
                done = data_section(study, record)["preprocessing"]
                is_series = "length" in done
                known[key] = num_parameters(
                    encoder,
                    channels=done["channels"]
                    if is_series
                    else 1
                    if done["color"] == "grey"
                    else 3,
                    image_size=(1, done["length"]) if is_series else done["image_size"],
                )
            except (KeyError, ValueError, RuntimeError, ImportError):
                known[key] = None
        sizes[record.number] = known[key]
    return sizes


def _number(value: Any) -> Any:
    """Plain data: short numbers, None for those that are not finite."""
    if isinstance(value, bool) or not isinstance(value, float | list | tuple):
        return value
    if isinstance(value, list | tuple):
        return [_number(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
