"""A study as a notebook shows it: its leaderboard as a table."""

from html import escape
from typing import TYPE_CHECKING

from . import labels

if TYPE_CHECKING:
    from .leaderboard import Row
    from .study import Study

MAX_ROWS = 30
"""Trials that the table shows; the others are counted below it."""

HEADER = ("#", "trial", "state", "accuracy", "loss", "miner", "m / t", "dim", "steps", "time")


def study_html(self: "Study") -> str:
    """The best trials of a study as an HTML table, with the baselines below."""
    board = self.leaderboard()
    if not board.rows:
        return f"<p>study <b>{escape(self.name)}</b> has no trials yet</p>"
    lines = [
        f"<p>study <b>{escape(self.name)}</b>, {len(board.rows)} trials</p>",
        "<table><thead><tr>",
        *(f"<th>{escape(name)}</th>" for name in HEADER),
        "</tr></thead><tbody>",
        *(_line(_cells(row), is_bold=row.record is board.best) for row in board.rows[:MAX_ROWS]),
    ]
    for name, score in board.baselines.items():
        mean = labels.accuracy(score["one_shot_accuracy"], *score["interval"])
        lines.append(_line(["", "", name.replace("_", " "), mean, *[""] * (len(HEADER) - 4)]))
    lines.append("</tbody></table>")
    if len(board.rows) > MAX_ROWS:
        lines.append(f"<p>and {len(board.rows) - MAX_ROWS} more</p>")
    return "".join(lines)


def _cells(row: "Row") -> list[str]:
    record = row.record
    is_ranked = labels.is_ranked(record)
    report = record.last_report
    return [
        str(row.rank) if is_ranked else "-",
        str(record.number),
        labels.state_word(record),
        labels.report_accuracy(report) if is_ranked else "-",
        record.recipe.objective.loss.name,
        record.recipe.objective.miner.name,
        labels.sharpness(record),
        str(record.recipe.encoder.embedding_dim),
        str(report.step) if report else "0",
        labels.duration(record.seconds),
    ]


def _line(cells: list[str], *, is_bold: bool = False) -> str:
    style = ' style="font-weight:bold"' if is_bold else ""
    return f"<tr{style}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
