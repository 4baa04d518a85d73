"""Trials ranked by one-shot accuracy: as rows, JSON, CSV and a table of 80 columns."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import labels
from .folder import write_text
from .records import TrialRecord
from .standing import standing

if TYPE_CHECKING:
    from rich.console import Console

    from .confirmation import Confirmed
    from .statistics import Interval

METRIC = "one_shot_accuracy"

MAX_FAILURE_LINES = 8

CSV_COLUMNS = (
    "rank",
    "place",
    "trial",
    "state",
    "one_shot_accuracy",
    "interval_low",
    "interval_high",
    "steps",
    "seconds",
    "loss",
    "miner",
    "margin",
    "temperature",
    "encoder",
    "embedding_dim",
    "learning_rate",
    "weight_decay",
    "classes",
    "samples",
    "draw",
    "attempts",
    "device_seconds",
    "peak_bytes",
    "checkpoint",
    "wandb_id",
    "collapsed",
    "failure",
    "recipe",
)


@dataclass(frozen=True)
class Row:
    """One trial at its place.

    Attributes:
        rank: 1 + the number of trials that are surely better: trials that cannot be told apart
            share one. Of a trial without a score that counts, its place.
        place: 1 for the highest score; trials without a score that counts come last.
        record: The trial.
    """

    rank: int
    place: int
    record: TrialRecord

    def to_json(self) -> dict[str, Any]:
        """The row as plain data; numbers that are not finite, and what is missing, are None."""
        record, report = self.record, self.record.last_report
        loss = record.recipe.objective.loss
        return {
            "rank": self.rank,
            "place": self.place,
            "trial": record.number,
            "state": record.state,
            "recipe": record.recipe.to_dict(),
            "one_shot_accuracy": _finite(report.one_shot_accuracy) if report else None,
            "interval": (
                [_finite(report.interval_low), _finite(report.interval_high)] if report else None
            ),
            "steps": report.step if report else 0,
            "seconds": _finite(record.seconds),
            "loss": loss.name,
            "miner": record.recipe.objective.miner.name,
            "margin": getattr(loss, "margin", None),
            "temperature": getattr(loss, "temperature", None),
            "encoder": labels.encoder_name(record),
            "embedding_dim": record.embedding_dim,
            "attempts": record.attempts,
            "lost": list(record.losses),
            "device_seconds": _finite(record.device_seconds),
            "peak_bytes": record.peak_bytes or None,
            "checkpoint": record.checkpoint.path if record.checkpoint else None,
            "wandb_id": record.wandb_id,
            "collapsed": labels.is_collapsed(record),
            "failure": record.failure,
            "traceback": record.traceback,
        }

    def to_csv(self) -> dict[str, Any]:
        """The row as flat cells, by `CSV_COLUMNS`; the recipe is its digest."""
        content = self.to_json()
        recipe = self.record.recipe
        low, high = content["interval"] or (None, None)
        return content | {
            "interval_low": low,
            "interval_high": high,
            "learning_rate": recipe.optimizer.learning_rate,
            "weight_decay": recipe.optimizer.weight_decay,
            "classes": recipe.batch.classes,
            "samples": recipe.batch.samples,
            "draw": recipe.batch.draw,
            "recipe": recipe.digest,
        }


@dataclass(frozen=True)
class Leaderboard:
    """The trials of a study by the accuracy of their last report, best first.

    A stopped trial stands where its score at the step it reached puts it, with its state shown.
    Failed and collapsed trials and those without a report come last: their score, if any, is not
    one of a model that can be had. Equal scores: complete trials first, then the older ones.

    Attributes:
        study: Name of the study.
        rows: All trials.
        baselines: Scores on the same episodes that need no training, by name: each with
            `one_shot_accuracy` and `interval`.
        optimism: By how much the best score is expected to be too high for being the best of
            `best_of`; see `statistics.expected_optimism`. None where the episodes were not kept.
        best_of: Number of trials that the best was chosen from.
        confirmed: Finalists that were trained again, best first.
    """

    study: str
    rows: tuple[Row, ...]
    baselines: Mapping[str, Mapping[str, Any]]
    optimism: float | None = None
    best_of: int = 0
    confirmed: "tuple[Confirmed, ...]" = ()

    @classmethod
    def from_records(
        cls,
        study: str,
        records: Sequence[TrialRecord],
        *,
        baselines: Mapping[str, Mapping[str, Any]],
        scores: Mapping[int, NDArray[np.float32]] | None = None,
        confirmed: "tuple[Confirmed, ...]" = (),
    ) -> "Leaderboard":
        """Rank the trials of a study, in whatever order they come.

        Args:
            study: Its name.
            records: All trials.
            baselines: See the class.
            scores: Accuracy of each frozen episode at a trial's last report, by its number;
                trials that are not there are compared by their intervals, which tell less apart.
            confirmed: See the class.
        """
        placed = sorted(records, key=_sort_key)
        scored = [record for record in placed if labels.is_ranked(record)]
        stand = standing(
            [record.reports[-1] for record in scored],
            [(scores or {}).get(record.number) for record in scored],
        )
        others = range(len(scored) + 1, len(placed) + 1)
        rows = tuple(
            Row(rank, place, record)
            for place, (rank, record) in enumerate(
                zip((*stand.ranks, *others), placed, strict=True), start=1
            )
        )
        return cls(study, rows, baselines, stand.optimism, stand.best_of, confirmed)

    @property
    def best(self) -> TrialRecord | None:
        """The first that trained its whole budget, of the confirmed ones where there are any.

        None if there is none.
        """
        if self.confirmed:
            return self._record(self.confirmed[0].trial)
        for row in self.rows:
            if row.record.state == "complete" and labels.is_ranked(row.record):
                return row.record
        return None

    @property
    def metric(self) -> str:
        """What ranks the trials; the values stand under `one_shot_accuracy` whatever it is."""
        return self.rows[0].record.recipe.task.FACTS.metric if self.rows else METRIC

    def to_json(self) -> dict[str, Any]:
        """The leaderboard as plain data, as `tripletune leaderboard --json` prints it."""
        return {
            "study": self.study,
            "metric": self.metric,
            "trials": [row.to_json() for row in self.rows],
            "baselines": {name: dict(score) for name, score in self.baselines.items()},
            "optimism": (
                None
                if self.optimism is None
                else {"best_of": self.best_of, "expected": self.optimism}
            ),
            "confirmed": [self._confirmed_json(row) for row in self.confirmed],
        }

    def _confirmed_json(self, row: "Confirmed") -> dict[str, Any]:
        """A confirmed row beside the score that it was selected by."""
        record = self._record(row.trial)
        report = record.reports[-1]
        return row.to_json() | {
            "loss": record.recipe.objective.loss.name,
            "miner": record.recipe.objective.miner.name,
            "selection": report.one_shot_accuracy,
            "selection_interval": [report.interval_low, report.interval_high],
        }

    def _record(self, number: int) -> TrialRecord:
        return next(row.record for row in self.rows if row.record.number == number)

    def to_csv(self, path: Path) -> None:
        """Write one line a trial, whole or not at all."""
        text = io.StringIO()
        writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.to_csv() for row in self.rows)
        write_text(path, text.getvalue())

    def render_table(self, console: "Console") -> None:
        """Print a table that fits 80 columns; without colours where it is piped."""
        from rich.table import Table
        from rich.text import Text

        if not self.rows:
            console.print(f"study {self.study} has no trials yet", highlight=False, markup=False)
            return
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("trial", justify="right", no_wrap=True)
        for name in ("state", "loss", "miner", "m / t"):
            table.add_column(name, no_wrap=True)
        for name in ("dim", "accuracy", "steps", "time"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*self._cells(row), style="bold" if row.record is self.best else "")
        for name, score in self.baselines.items():
            low, high = score["interval"]
            mean = labels.accuracy(score["one_shot_accuracy"], low, high)
            label = Text(name.replace("_", " "), style="dim")
            table.add_row("", "", "", label, "", "", "", Text(mean, style="dim"), "", "")
        console.print(table)
        if self.confirmed:
            self._render_confirmed(console)
        for line in self._notes():
            console.print(line, overflow="ellipsis", no_wrap=True, markup=False, highlight=False)

    def _cells(self, row: Row) -> list[Any]:
        from rich.text import Text

        record, word = row.record, labels.state_word(row.record)
        is_ranked = labels.is_ranked(record)
        return [
            str(row.rank) if is_ranked else "-",
            str(record.number),
            Text(word, style=labels.STATE_STYLES[word]),
            labels.loss_name(record),
            labels.miner_name(record),
            labels.sharpness(record),
            str(record.embedding_dim),
            labels.report_accuracy(record.last_report) if is_ranked else "-",
            str(record.last_report.step) if record.last_report else "0",
            labels.duration(record.seconds),
        ]

    def _render_confirmed(self, console: "Console") -> None:
        """The finalists again: as they were selected, and as they are."""
        from rich.table import Table

        first = self.confirmed[0]
        console.print(
            f"\nconfirmed on {first.num_episodes} fresh episodes of the validation classes, each "
            "with\nfresh seeds; ± over episodes, over seeds, over both",
            highlight=False,
        )
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for name in ("#", "trial"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("loss", "miner"):
            table.add_column(name, no_wrap=True)
        for name in ("selected", "confirmed", "±ep.", "±seeds", "±both", "seeds"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.confirmed:
            record = self._record(row.trial)
            lost = row.num_failed + row.num_collapsed
            table.add_row(
                str(row.rank),
                str(row.trial),
                labels.loss_name(record),
                labels.miner_name(record),
                labels.report_accuracy(record.last_report),
                f"{row.mean:.3f}",
                *(_half_width(interval) for interval in row.intervals),
                f"{row.num_seeds}" + (f" ({lost} bad)" if lost else ""),
                style="bold" if record is self.best else "",
            )
        console.print(table)

    def _notes(self) -> list[str]:
        """Why trials have no rank, and what there is to export."""
        lost = [
            row.record
            for row in self.rows
            if row.record.state == "failed" or labels.is_collapsed(row.record)
        ]
        lines = self._luck()
        lines += [labels.failure_line(record) for record in lost[:MAX_FAILURE_LINES]]
        if len(lost) > MAX_FAILURE_LINES:
            lines.append(f"and {len(lost) - MAX_FAILURE_LINES} more without a rank: see --json")
        if self.best is None:
            lines.append("no trial has trained its whole budget yet: nothing to export")
        return lines

    def _luck(self) -> list[str]:
        """What the ranks say, and how much of the best score is luck."""
        lines = []
        first = sum(labels.is_ranked(row.record) and row.rank == 1 for row in self.rows)
        if first > 1:
            lines.append(f"{first} trials share rank 1: they cannot be told apart")
        if self.optimism is not None:
            lines.append(
                f"the best of {self.best_of} is partly luck: expect {self.optimism:.3f} less on "
                "fresh episodes"
            )
        return lines


def _sort_key(record: TrialRecord) -> tuple[bool, float, bool, int]:
    report = record.last_report
    is_ranked = labels.is_ranked(record)
    accuracy = report.one_shot_accuracy if report and is_ranked else 0.0
    return (not is_ranked, -accuracy, record.state != "complete", record.number)


def _half_width(interval: "Interval") -> str:
    half = max(interval.high - interval.mean, interval.mean - interval.low)
    return f"{half:.3f}" if math.isfinite(half) else "-"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
