"""A search as JSON lines, one event each, for scripts that follow it."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..trainables.report import Report
from .records import TrialRecord

if TYPE_CHECKING:
    from .study import Study


class JsonLines:
    """Writes an object with an `event` for each start, report and end, and one for the study.

    Numbers that are not finite are null. A reader that went away ends the writing, not the search.

    Args:
        stream: Where to; flushed after each line.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_broken = False

    def trial_known(self, record: TrialRecord) -> None:
        """A trial that was there before the writing began."""
        self._write("trial_known", _trial(record))

    def trial_started(self, record: TrialRecord) -> None:
        """A trial begins or goes on."""
        self._write("trial_started", _trial(record))

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """A trial was evaluated."""
        self._write("trial_reported", {"trial": number, "report": _plain(report.to_dict())})

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial is over."""
        self._write("trial_ended", _trial(record))

    def study_ended(self, study: "Study") -> None:
        """The search came to its end or was interrupted."""
        board = study.leaderboard()
        states = [row.record.state for row in board.rows]
        content = {
            "study": study.name,
            "trials": {state: states.count(state) for state in sorted(set(states))},
            "best": _trial(board.best) if board.best else None,
        }
        self._write("study_ended", content)

    def close(self, timeout_s: float) -> None:
        """Nothing: each line was flushed."""

    def _write(self, event: str, content: Mapping[str, Any]) -> None:
        if self._is_broken:
            return
        try:
            self._stream.write(json.dumps({"event": event, **content}) + "\n")
            self._stream.flush()
        except OSError:
            self._is_broken = True


def _trial(record: TrialRecord) -> dict[str, Any]:
    return {
        "trial": record.number,
        "state": record.state,
        "attempts": record.attempts,
        "failure": record.failure,
        "recipe": record.recipe.to_dict(),
        "report": _plain(record.last_report.to_dict()) if record.last_report else None,
    }


def _plain(value: Any) -> Any:
    """The same with None for what JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
