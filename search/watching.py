"""Follows a search from another process, by nothing but what its study holds."""

from collections.abc import Callable, Sequence

from .records import TrialRecord
from .study import Study
from .trackers import Tracker

POLL_S = 1.0


class StudyWatcher:
    """Tells trackers what changed in a study since the last look.

    Args:
        study: That another process may be writing.
        trackers: Told of starts, reports and ends in the order of the trials' numbers.
    """

    def __init__(self, study: Study, trackers: Sequence[Tracker]) -> None:
        self._study = study
        self._trackers = tuple(trackers)
        self._known = {record.number: record for record in study.records()}

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """As of the last look."""
        return tuple(self._known.values())

    def look(self) -> bool:
        """Read the study again; whether anything changed."""
        has_changed = False
        for record in self._study.records():
            before = self._known.get(record.number)
            if before != record:
                has_changed = True
                self._known[record.number] = record
                self._tell(before, record)
        return has_changed

    def _tell(self, before: TrialRecord | None, record: TrialRecord) -> None:
        reported = record.reports[len(before.reports) :] if before else record.reports
        for tracker in self._trackers:
            if before is None or before.attempts != record.attempts:
                known = before.reports if before else ()
                tracker.trial_started(_as_it_began(record, len(known)))
            for report in reported:
                tracker.trial_reported(record.number, record.attempts, report)
            if record.state != "running":
                tracker.trial_ended(record)


def _as_it_began(record: TrialRecord, num_reports: int) -> TrialRecord:
    from dataclasses import replace

    return replace(record, state="running", failure=None, reports=record.reports[:num_reports])


def follow(
    watcher: StudyWatcher, is_running: Callable[[], bool], wait: Callable[[], bool]
) -> None:
    """Look until the search is over and all it wrote was seen.

    Args:
        watcher: What looks.
        is_running: Whether a process runs the study.
        wait: Until the next look; whether to go on.
    """
    while True:
        # In this order: what is written before the end of the search is seen after it.
        is_over = not is_running()
        watcher.look()
        if is_over or not wait():
            return
