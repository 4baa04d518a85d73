"""What a person sees of a running search: a live table, or a line an event where it is piped."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..trainables.report import Report
from . import labels
from .outlook import accuracy_bounds, rungs_reached, seconds_left
from .progress import decoding_progress
from .records import TrialRecord
from .sparkline import COLUMNS, sparkline

if TYPE_CHECKING:
    from .study import Study

LINE_COLUMNS = 100
"""Widest line of the piped form."""

MAX_FAILURE_LINES = 3


class LiveTable:
    """Shows a search while it runs; one more tracker to the runner.

    In a terminal: a header with counts, best score, baselines and remaining time, then the running
    trials and the best of the others, as many as fit the height. Elsewhere: one plain line for
    each start, report and end of a trial.

    A console that cannot be written any more (`| head`) goes quiet; the search does not notice.

    Args:
        console: Where to show it.
        clock: Seconds; tests give their own.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live: Live | None = None
        self._records: dict[int, TrialRecord] = {}
        self._study = ""
        self._slots: int | None = None
        self._num_trials = 0
        self._num_over_before = 0
        self._baselines: Mapping[str, Mapping[str, Any]] = {}
        self._began = clock()

    @classmethod
    def silent(cls) -> "LiveTable":
        """One that shows nothing, for searches started from Python."""
        return cls(Console(quiet=True))

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A function that shows how many images of how many are done, before the table opens."""
        with decoding_progress(self._console, what) as show:
            yield show

    def open(
        self,
        records: Sequence[TrialRecord],
        num_trials: int,
        baselines: Mapping[str, Mapping[str, Any]],
        *,
        study: str = "",
        slots: int | None = None,
    ) -> None:
        """Begin, with the trials that a resumed study already has.

        Args:
            records: Of the study so far.
            num_trials: How many the search shall have in the end.
            baselines: Scores that need no training, by name.
            study: Its name, for the header.
            slots: Trials at a time; None where that is not known.
        """
        self._records = {record.number: record for record in records}
        self._num_trials, self._baselines, self._study = num_trials, baselines, study
        self._slots = slots
        self._num_over_before = sum(record.state != "running" for record in records)
        self._began = self._clock()
        for name, score in baselines.items():
            self._line(f"baseline {name.replace('_', ' ')}: {_score(score)}")
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=2
            )
            with self._surviving():
                self._live.start(refresh=True)

    def message(self, text: str) -> None:
        """Show a line that stays, above the table."""
        with self._surviving():
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def trial_started(self, record: TrialRecord) -> None:
        """A trial begins or goes on."""
        self._records[record.number] = record
        parts = [labels.loss_name(record), labels.sharpness(record), labels.miner_name(record)]
        text = ", ".join(part for part in parts if part)
        again = f", attempt {record.attempts}" if record.attempts > 1 else ""
        dim = record.recipe.encoder.embedding_dim
        self._line(f"trial {record.number} started: {text}, dim {dim}{again}")

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """A trial was evaluated."""
        record = self._records.get(number)
        if record is None:
            return
        record = replace(record, attempts=attempt, reports=(*record.reports, report))
        self._records[number] = record
        self._line(
            f"trial {number} step {report.step}/{record.recipe.budget.steps}: "
            f"{labels.report_accuracy(report)} {labels.duration(report.seconds)}"
        )

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial is over."""
        self._records[record.number] = record
        if record.state == "failed" or labels.is_collapsed(record):
            self._line(labels.failure_line(record))
            return
        step = record.last_report.step if record.last_report else 0
        is_best = self._best() is record and len(self._records) > 1
        self._line(
            f"trial {record.number} {labels.state_word(record)} at step {step}: "
            f"{labels.report_accuracy(record.last_report)} {labels.duration(record.seconds)}"
            + (", best so far" if is_best else "")
        )

    def study_ended(self, study: "Study") -> None:
        """Nothing: the leaderboard follows the table."""

    def close(self, timeout_s: float = 0.0) -> None:  # nothing to wait for
        """Leave the table as it is and give the terminal back."""
        if self._live is not None:
            with self._surviving():
                self._live.stop()
            self._live = None

    def render(self) -> RenderableType:
        """The table as it is now."""
        height = self._console.size.height
        records = list(self._records.values())
        running = [record for record in records if record.state == "running"]
        lost = [r for r in records if r.state == "failed" or labels.is_collapsed(r)]
        failures = lost[-MAX_FAILURE_LINES:] if height >= 16 else []
        others = sorted(
            (r for r in records if r.state != "running" and labels.is_ranked(r)), key=_by_accuracy
        )
        header = list(self._header(records))
        # The table's own header, its rule, the line of what is hidden, and one left free.
        room = max(3, height - len(header) - len(failures) - 4)
        shown = (running + others)[:room]
        hidden = len(running) + len(others) - len(shown)
        footer = [f"{hidden} more trials"] if hidden else []
        footer += [labels.failure_line(record) for record in failures]
        return Group(
            *header,
            self._table(shown),
            *(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in footer),
        )

    def _header(self, records: Sequence[TrialRecord]) -> Iterator[RenderableType]:
        title = Table.grid(expand=True)
        title.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        title.add_column(justify="right", no_wrap=True)
        elapsed = self._clock() - self._began
        left = seconds_left(records, self._num_trials, self._slots)
        if left is None:
            left = self._seconds_left(records, elapsed)
        times = labels.duration(elapsed)
        times += f", about {labels.duration(left)} left" if left is not None else ""
        title.add_row(Text(self._study or "search", style="bold"), f" {times}")
        yield title
        words = [labels.state_word(record) for record in records]
        counts = [
            f"{words.count(word)} {word}" for word in labels.STATE_STYLES if words.count(word)
        ]
        yield Text(f"{', '.join(counts) or 'starting'}, of {self._num_trials} trials")
        parts = []
        if self._slots is not None:
            parts.append(f"{words.count('running')} of {self._slots} slots busy")
        rungs = rungs_reached(records)
        if rungs:
            parts.append(f"rungs {rungs}")
        if parts:
            yield Text("   ".join(parts), style="dim", no_wrap=True, overflow="ellipsis")
        best = self._best()
        parts = ["best -"]
        if best is not None:
            parts = [f"best {labels.report_accuracy(best.last_report)} (trial {best.number})"]
        parts += [
            f"{name.replace('_', ' ')} {_score(score)}" for name, score in self._baselines.items()
        ]
        yield Text("   ".join(parts), style="green", no_wrap=True, overflow="ellipsis")

    def _table(self, records: Sequence[TrialRecord]) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("trial", justify="right", no_wrap=True)
        for name in ("state", "loss", "miner"):
            table.add_column(name, no_wrap=True)
        table.add_column("accuracy", justify="right", no_wrap=True)
        table.add_column("curve", no_wrap=True, width=COLUMNS)
        for name in ("step", "time"):
            table.add_column(name, justify="right", no_wrap=True)
        best = self._best()
        low, high = accuracy_bounds(self._records.values())
        for record in records:
            word, report = labels.state_word(record), record.last_report
            table.add_row(
                str(record.number),
                Text(word, style=labels.STATE_STYLES[word]),
                labels.loss_name(record),
                labels.miner_name(record),
                labels.report_accuracy(report),
                sparkline(
                    [each.step for each in record.reports],
                    [each.one_shot_accuracy for each in record.reports],
                    budget=record.recipe.budget.steps,
                    low=low,
                    high=high,
                ),
                f"{report.step if report else 0}/{record.recipe.budget.steps}",
                labels.duration(record.seconds),
                style="bold" if record is best else "",
            )
        return table

    def _best(self) -> TrialRecord | None:
        ranked = [record for record in self._records.values() if labels.is_ranked(record)]
        return min(ranked, key=_by_accuracy, default=None)

    def _seconds_left(self, records: Sequence[TrialRecord], elapsed: float) -> float | None:
        """From the pace of this start; None until it has finished a trial."""
        over = sum(record.state != "running" for record in records)
        if over <= self._num_over_before:
            return None
        return elapsed / (over - self._num_over_before) * max(0, self._num_trials - over)

    def _line(self, text: str) -> None:
        """A line of the piped form."""
        if self._console.is_terminal:
            return
        if len(text) > LINE_COLUMNS:
            text = text[: LINE_COLUMNS - 3] + "..."
        self.message(text)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Nothing that happens to the terminal ends a search."""
        try:
            yield
        except (Exception, SystemExit):  # rich raises SystemExit when a pipe's reader is gone
            self._console.quiet = True


def _by_accuracy(record: TrialRecord) -> tuple[float, int]:
    report = record.last_report
    return (-report.one_shot_accuracy if report else 0.0, record.number)


def _score(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]
    return labels.accuracy(score["one_shot_accuracy"], low, high)
