"""What the driver tells everyone who watches a search."""

from typing import TYPE_CHECKING, Protocol

from ...trainables.report import Report
from ..records import TrialRecord

if TYPE_CHECKING:
    from ..study import Study


class Tracker(Protocol):
    """Listens to a search and cannot disturb it: a call returns at once and never raises."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial begins, or goes on after an interruption with the reports it already has."""

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """A running trial was evaluated; steps grow within an attempt."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial is complete, pruned or failed; the record holds all its reports."""

    def study_ended(self, study: "Study") -> None:
        """The search came to its end or was interrupted; leaderboard and export are written."""

    def close(self, timeout_s: float) -> None:
        """The search is over or interrupted; ends within about `timeout_s` seconds.

        Trials that were started and have not ended are interrupted: they go on later.
        """
