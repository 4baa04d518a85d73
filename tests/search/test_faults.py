"""Trials, trackers and storages that go wrong beside healthy ones, on real actors."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import toy_driver
import toy_trial
from ray import tune
from ray.exceptions import ActorDiedError, ActorUnavailableError
from toy_driver import Printer, search

from tripletune.search import watchdog
from tripletune.search.folder import StudyError, StudyFolder
from tripletune.search.leaderboard import METRIC
from tripletune.search.options import SearchOptions
from tripletune.search.ray_trial import NUMBER, REPORT, malformed
from tripletune.search.recorder import what_was_lost
from tripletune.search.records import TrialRecord
from tripletune.search.stop_request import StopRequest
from tripletune.search.study import Study
from tripletune.search.watchdog import FIRST_REPORT_S, GENEROSITY, LEAST_PATIENCE_S, Watchdog
from tripletune.trainables.report import Report

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_session", "travels_by_value"),
]

TRAVEL_TOO = (toy_trial,)

SILENT, NO_METRIC, NOT_FINITE, KILLED, HEALTHY = range(5)
STEPS = list(range(2, 20, 2))


def _faulty(folder: Path) -> type[toy_trial.ToyRayTrial]:
    """Trials that go wrong by their number, after their second report."""

    class Faulty(toy_trial.ToyRayTrial):
        def step(self) -> dict[str, Any]:
            number, result = self._config[NUMBER], super().step()
            assert self._trial is not None
            if self._trial.step <= 4:
                return result
            if number == SILENT:
                (folder / "silent").touch()
                threading.Event().wait()
            if number == NO_METRIC:
                return {"accuracy": 0.9, tune.result.DONE: False}
            if number == NOT_FINITE:
                result[METRIC] = float("nan")
            if number == KILLED and not (folder / "killed").exists():
                (folder / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return result

    return Faulty


class Raising(Printer):
    """A tracker with a bug."""

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        raise KeyError("a bug of the tracker")


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What a healthy tracker beside the faulty one was told."""
    return []


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Study:
    """A search in which all but one trial go wrong, watched by a clock that jumps.

    It jumps once the silent trial hangs and every other has had its end, so that a busy machine
    fails no healthy one.
    """
    faults = tmp_path_factory.mktemp("faults")
    ended: set[int] = set()

    class Listening(Printer):
        def trial_ended(self, record: TrialRecord) -> None:
            ended.add(record.number)

    def clock() -> float:
        is_late = (faults / "silent").exists() and len(ended) == HEALTHY
        return 1e6 if is_late else 0.0

    class FakeClockWatchdog(Watchdog):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments, clock=clock)

        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            self._next_check = 0.0
            super().on_step_end(iteration, trials, **info)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchdog, "Watchdog", FakeClockWatchdog)
        return search(
            StudyFolder(tmp_path_factory.mktemp("runs") / "faulty"),
            SearchOptions(
                trials=5, concurrency=2, scheduler="none", report_deadline_s=60.0, wandb="off"
            ),
            trial=_faulty(faults),
            trackers=[Raising(told.append), Listening(told.append), Printer(told.append)],
        )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (SILENT, "it reported nothing for 60 s"),
        (NO_METRIC, "its report has no one_shot_accuracy"),
        (NOT_FINITE, "one_shot_accuracy must be finite, got nan"),
    ],
)
def test_trial_that_cannot_go_on_fails_at_once_with_its_reason(
    study: Study, number: int, reason: str
) -> None:
    record = study.record(number)

    assert (record.state, record.failure) == ("failed", reason)
    assert [report.step for report in record.reports] == [2, 4]
    assert study.folder.checkpoints(number) == []  # nothing of it can be exported


def test_trial_goes_on_when_its_process_was_lost(study: Study) -> None:
    record = study.record(KILLED)

    assert (record.state, record.attempts, record.losses) == ("complete", 2, ("process",))
    assert [report.step for report in record.reports] == STEPS
    assert [attempt.cpus for attempt in record.log] == [toy_driver.CPUS] * 2
    assert record.device_seconds > 0


def test_tracker_that_raises_costs_nothing_but_itself(study: Study, told: list[str]) -> None:
    assert study.record(HEALTHY).state == "complete"
    assert f"report {HEALTHY} 18" in told


def test_patience_grows_with_the_reports_that_were_seen() -> None:
    now = [0.0]
    watch = Watchdog(
        report_deadline_s=None,
        trial_time_limit_s=None,
        record_of=lambda number: pytest.fail("no limit, no record"),
        clock=lambda: now[0],
    )
    watch.started(0)
    assert watch.patience_s == FIRST_REPORT_S
    now[0] = 3.0
    watch.heard_of(0)
    assert watch.patience_s == LEAST_PATIENCE_S
    now[0] = 103.0
    watch.heard_of(0)
    assert watch.patience_s == GENEROSITY * 100.0
    now[0] += GENEROSITY * 100.0 + 1
    assert watch.overdue(0) == "it reported nothing for 2000 s"


def test_lost_machines_are_told_from_lost_processes() -> None:
    assert what_was_lost(ActorDiedError()) == "process"
    assert what_was_lost(ActorUnavailableError("connection lost", None)) == "node"


def test_results_without_a_score_are_malformed() -> None:
    assert malformed({METRIC: 0.5, REPORT: {}}) is None
    assert malformed({METRIC: 0.5}) == f"its report has no {METRIC}"


def test_study_that_cannot_be_written_ends_the_search_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(tmp_path / "lost")
    stop = StopRequest(folder, None)
    report = Study.report

    def lose(self: Study, number: int, *arguments: Any, **details: Any) -> bool:
        if number == 1:
            raise StudyError("the storage sqlite:///x cannot be used: disk I/O error")
        return report(self, number, *arguments, **details)

    monkeypatch.setattr(Study, "report", lose)
    options = SearchOptions(trials=3, concurrency=1, scheduler="none", wandb="off")
    search(folder, options, stop=stop)

    assert stop.reason == "the storage sqlite:///x cannot be used: disk I/O error"
    monkeypatch.setattr(Study, "report", report)
    resumed = search(folder, options)
    assert [record.state for record in resumed.records()] == ["complete"] * 3
    assert [report.step for report in resumed.record(1).reports] == STEPS


def test_checkpoints_are_those_of_the_best_trials(tmp_path: Path) -> None:
    options = SearchOptions(
        trials=6, concurrency=1, scheduler="none", wandb="off", keep_checkpoints=2
    )
    study = search(StudyFolder(tmp_path / "full"), options)

    best = [row.record.number for row in study.leaderboard().rows[:2]]
    kept = [number for number in range(6) if study.folder.checkpoints(number)]
    assert kept == sorted(best)
