"""What W&B shall hold of a study: one run per trial, and one for the study itself.

Made from the study alone, by the tracker while a search runs, by `sync` to complete what is
missing, and by `verify` to compare.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from json import dumps, loads
from typing import TYPE_CHECKING, Any

from ...trainables.report import Report
from .. import labels
from ..records import TrialRecord
from .run_identity import RunIdentity

if TYPE_CHECKING:
    from ..leaderboard import Leaderboard
    from ..study import Study

NUM_CURVES = 10
"""Curves of the study's own plot: those of the best trials."""

SYSTEM = ("processor_share", "memory_bytes", "gpu_memory_bytes")
"""Fields of a report that W&B shows as system metrics."""


@dataclass(frozen=True)
class Row:
    """One line of a run's history.

    Attributes:
        step: Of the trial; it grows, also over attempts: a repeated step stands once.
        values: By name.
    """

    step: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class RunContent:
    """One run.

    Attributes:
        id: The same at every start of the study.
        name: For people.
        group: The study.
        job_type: `trial` or `study`.
        tags: For filters.
        config: Of a trial, its recipe.
        rows: Its history.
        summary: State, failure, attempts, collapse, best score.
        exit_code: 0 unless failed or interrupted.
        is_interrupted: Whether it goes on when the study is resumed.
    """

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    rows: tuple[Row, ...]
    summary: Mapping[str, Any]
    exit_code: int
    is_interrupted: bool

    def opening(self) -> dict[str, Any]:
        """What the uploader needs to open the run."""
        names = ("id", "name", "group", "job_type", "tags", "config")
        content = {name: getattr(self, name) for name in names}
        return {"run": content, "rows": [asdict(row) for row in self.rows]}

    def to_message(self) -> dict[str, Any]:
        """All of it, as the uploader reads it."""
        return self.opening() | {
            "summary": dict(self.summary),
            "exit_code": self.exit_code,
            "is_interrupted": self.is_interrupted,
        }


def trial_content(record: TrialRecord, identity: RunIdentity) -> RunContent:
    """The run of a trial; one that is not over counts as interrupted."""
    objective = record.recipe.objective
    is_over = record.state != "running"
    return RunContent(
        id=identity.trial(record.number),
        name=f"{record.number:04d} {objective.loss.name} {objective.miner.name}",
        group=identity.study,
        job_type="trial",
        tags=(*identity.tags, objective.loss.name, objective.miner.name),
        config=record.recipe.to_dict(),
        rows=tuple(report_row(report) for report in record.reports),
        summary=trial_summary(record),
        exit_code=0 if record.state in ("complete", "pruned") else 1,
        is_interrupted=not is_over,
    )


def trial_summary(record: TrialRecord) -> dict[str, Any]:
    """What W&B's table of runs shows of a trial."""
    accuracies = [
        report.one_shot_accuracy
        for report in record.reports
        if math.isfinite(report.one_shot_accuracy)
    ]
    return {
        "state": "interrupted" if record.state == "running" else record.state,
        "failure": record.failure,
        "attempts": record.attempts,
        "is_collapsed": labels.is_collapsed(record),
        "collapse": "all embeddings in one place" if labels.is_collapsed(record) else None,
        "best_one_shot_accuracy": max(accuracies, default=None),
    }


def report_row(report: Report) -> Row:
    """One evaluation as a line of the history."""
    values = report.to_dict()
    step = values.pop("step")
    scores = {f"scores/{name}": value for name, value in values.pop("scores", {}).items()}
    sizes = values.pop("sizes", {})
    scores |= {f"accuracy_of_size/{size}": found[0] for size, found in sizes.items()}
    system = {f"system/{name}": values.pop(name, None) for name in SYSTEM}
    found = {name: value for name, value in system.items() if value is not None}
    return Row(step, values | scores | found)


@dataclass(frozen=True)
class StudyContent:
    """The run of a whole study: its content, and what is logged to it besides rows.

    Attributes:
        run: Without rows: it has one line per start of the study, at no step of a trial.
        columns: Of the leaderboard.
        table: Of the leaderboard, by rank.
        curves: Names, steps and accuracies of the best trials.
        points: Seconds and accuracy of the ranked trials.
        data: Name and description of each data set, by its fingerprint.
        model: Name, folder and metadata of the exported model; None where there is none.
    """

    run: RunContent
    columns: tuple[str, ...]
    table: tuple[tuple[Any, ...], ...]
    curves: Mapping[str, Any]
    points: Sequence[tuple[float, float]]
    data: tuple[Mapping[str, Any], ...]
    model: Mapping[str, Any] | None

    def to_message(self) -> dict[str, Any]:
        """All of it, as the uploader reads it."""
        study = {
            "columns": self.columns,
            "table": self.table,
            "curves": self.curves,
            "points": self.points,
            "values": self.run.summary,
            "data": self.data,
            "model": self.model,
        }
        return self.run.to_message() | {"study": study}


def study_content(study: "Study", identity: RunIdentity) -> StudyContent:
    """The run of a study, from the study alone."""
    from ..leaderboard import CSV_COLUMNS

    settings, board = study.settings, study.leaderboard()
    cells = [row.to_csv() for row in board.rows]
    table = tuple(tuple(row[column] for column in CSV_COLUMNS) for row in cells)
    data = tuple(
        {"name": f"data-{entry['fingerprint'][:16]}", "description": dict(entry)}
        for entry in settings.data.values()
    )
    words = [labels.state_word(row.record) for row in board.rows]
    best = board.best
    summary = {
        "num_trials": len(board.rows),
        **{f"num_{word}": words.count(word) for word in labels.STATE_STYLES},
        "best_trial": best.number if best else None,
        "best_one_shot_accuracy": best.last_report.one_shot_accuracy
        if best and best.last_report
        else None,
        "leaderboard_digest": sha256(dumps([CSV_COLUMNS, table]).encode()).hexdigest(),
    }
    run = RunContent(
        id=identity.summary,
        name=identity.study,
        group=identity.study,
        job_type="study",
        tags=(*identity.tags, "study"),
        config={
            "data": {key: dict(entry) for key, entry in settings.data.items()},
            "episodes": settings.episodes,
            "versions": dict(settings.versions),
            "baselines": {name: dict(score) for name, score in settings.baselines.items()},
        },
        rows=(),
        summary=summary,
        exit_code=0,
        is_interrupted=False,
    )
    return StudyContent(
        run, CSV_COLUMNS, table, _curves(board), _points(board), data, _model(study)
    )


def _curves(board: "Leaderboard") -> dict[str, Any]:
    ranked = [row.record for row in board.rows if labels.is_ranked(row.record)][:NUM_CURVES]
    return {
        "names": [f"{record.number:04d} {labels.loss_name(record)}" for record in ranked],
        "steps": [[report.step for report in record.reports] for record in ranked],
        "accuracies": [[r.one_shot_accuracy for r in record.reports] for record in ranked],
    }


def _points(board: "Leaderboard") -> list[tuple[float, float]]:
    return [
        (row.record.seconds, row.record.last_report.one_shot_accuracy)
        for row in board.rows
        if row.record.last_report and labels.is_ranked(row.record)
    ]


def _model(study: "Study") -> dict[str, Any] | None:
    """The export of the best trial, where it lies in the study's folder."""
    scores = study.folder.best / "scores.json"
    if not scores.is_file():
        return None
    return {
        "name": f"{study.name}-model",
        "folder": str(study.folder.best),
        "metadata": loads(scores.read_text(encoding="utf-8")),
    }
