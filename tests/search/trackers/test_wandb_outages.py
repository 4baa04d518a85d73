"""W&B's server fails in every way; the search does not notice, and a later sync is complete."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from toy_search import toy_options, toy_space
from toy_study import add_report, empty_study
from wandb_stand_in import KEY, LONG_S, Fault, StandIn, hide_account, stand_in

from tripletune.cluster import RaySession
from tripletune.search.live import LiveTable
from tripletune.search.runner import run_search
from tripletune.search.study import Study
from tripletune.search.trackers import WandbTracker
from tripletune.search.trackers.sync import sync
from tripletune.search.trackers.verify import verify_files, verify_server

PROJECT = "models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    import wandb

    with pytest.MonkeyPatch.context() as patch, stand_in() as standing:
        hide_account(patch, tmp_path_factory.mktemp("wandb"))
        for name, value in standing.environment().items():
            patch.setenv(name, value)
        yield standing
    wandb.teardown()


def run_trial(study: Study, tracker: WandbTracker, *steps: int) -> None:
    """One trial, as the recorder of a search tells it; it would hang where a call waited."""
    number = study.ask(study.space).number
    study.start(number)
    tracker.trial_started(study.record(number))
    for step in steps:
        add_report(study, number, step)
        tracker.trial_reported(number, 1, study.record(number).reports[-1])
    tracker.trial_ended(study.finish(number))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "when"),
    [
        ("503", "start"),
        ("hang", "start"),
        ("refuse", "middle"),
        ("429", "middle"),
        ("hang", "middle"),
    ],
)
def test_search_goes_on_and_a_later_sync_is_complete(
    fault: Fault, when: str, server: StandIn, tmp_path: Path
) -> None:
    study = empty_study(tmp_path / "runs" / f"{fault}-{when}", wandb_project=PROJECT)
    warnings: list[str] = []
    num_runs = len(server.everything()["runs"])
    if when == "start":
        server.fault(fault)
    tracker = WandbTracker(
        study.name,
        study.folder.path,
        PROJECT,
        warn=warnings.append,
        init_timeout_s=2.0,
        finish_timeout_s=2.0,
    )
    try:
        if when == "middle":
            first = study.ask(study.space).number
            study.start(first)
            tracker.trial_started(study.record(first))
            server.received(f"/wait/runs/{num_runs + 1}")
            server.fault(fault)
        run_trial(study, tracker, 2, 6, 18)
        run_trial(study, tracker, 2)
        if when == "middle":
            add_report(study, first, 18)
            tracker.trial_ended(study.finish(first))
        tracker.study_ended(study)
        tracker.close(20.0)
    finally:
        server.fault("none")

    assert len(warnings) == 1, warnings
    assert tracker.sync_command in warnings[0]
    assert KEY not in warnings[0]
    synced = sync(study, PROJECT)
    assert synced.failures == {}
    assert verify_server(study, PROJECT).problems == {}


def test_slow_server_gets_everything_in_the_end(server: StandIn, tmp_path: Path) -> None:
    study = empty_study(tmp_path / "runs" / "slow", wandb_project=PROJECT)
    warnings: list[str] = []
    server.fault("slow")
    try:
        tracker = WandbTracker(study.name, study.folder.path, PROJECT, warn=warnings.append)
        run_trial(study, tracker, 2, 6, 18)
        server.fault("none")
        tracker.study_ended(study)
        tracker.close(LONG_S)
    finally:
        server.fault("none")
    assert warnings == []
    runs = server.everything()["runs"]
    (trial,) = (runs[name] for name in runs if name.startswith("slow-") and name.endswith("-0000"))
    assert [row["_step"] for row in trial["history"].values()] == [2, 6, 18]


def test_offline_files_are_equal_to_the_study_and_a_planted_difference_is_found(
    server: StandIn, tmp_path: Path
) -> None:
    study = empty_study(tmp_path / "runs" / "offline")
    warnings: list[str] = []
    tracker = WandbTracker(study.name, study.folder.path, PROJECT, "offline", warn=warnings.append)
    run_trial(study, tracker, 2, 6, 18)
    run_trial(study, tracker, 2)
    tracker.study_ended(study)
    tracker.close(LONG_S)

    verdict = verify_files(study)
    assert warnings == []
    assert verdict.problems == {}
    assert (verdict.num_runs, verdict.num_rows) == (3, 4)

    number = study.ask(study.space).number  # the study has a trial that W&B never heard of
    study.start(number)
    add_report(study, number, 18)
    study.finish(number)
    problems = verify_files(study).problems
    assert any("is missing" in lines for lines in problems.values())
    assert any("num_trials is 2, not 3" in str(lines) for lines in problems.values())
    (table,) = study.folder.path.glob(
        "wandb/offline-run-*/files/media/table/leaderboard_*.table.json"
    )
    table.write_text(table.read_text().replace("pruned", "complete"))
    assert "the table of the leaderboard is another one" in str(verify_files(study).problems)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
def test_eight_trials_at_a_time_take_two_processes(server: StandIn, tmp_path: Path) -> None:
    study = empty_study(tmp_path / "runs" / "eight", wandb_project=PROJECT)
    num_runs = len(server.everything()["runs"])
    tracker = WandbTracker(study.name, study.folder.path, PROJECT)
    for _ in range(8):
        number = study.ask(study.space).number
        study.start(number)
        tracker.trial_started(study.record(number))
    server.received(f"/wait/runs/{num_runs + 8}")

    sessions = [session_of(path) for path in Path("/proc").glob("[0-9]*/stat")]

    assert 1 <= sessions.count(tracker.process_id) <= 2
    tracker.close(LONG_S)


def session_of(stat: Path) -> int | None:
    """Session of a process; None where it is gone."""
    try:
        return int(stat.read_text().rsplit(")", 1)[1].split()[3])
    except OSError:
        return None


@pytest.mark.ray
@pytest.mark.slow
def test_real_search_is_equal_in_wandb_and_its_key_is_nowhere(
    server: StandIn, tmp_path: Path, images: Path, ray_session: RaySession
) -> None:
    shown = io.StringIO()

    study = run_search(
        toy_space(images),
        toy_options(4, wandb="online", wandb_project=PROJECT),
        name="real",
        runs=tmp_path / "runs",
        live=LiveTable(Console(file=shown, width=80)),
    )

    sync(study, PROJECT)  # nothing, unless the cores were too busy for the search's last seconds
    assert verify_server(study, PROJECT).problems == {}
    (artifact,) = (
        artifact
        for artifact in server.everything()["artifacts"].values()
        if artifact["name"] == "real-model"
    )
    # W&B's client takes them through a set: the order says nothing.
    assert sorted(artifact["aliases"]) == ["best", "latest"]
    rows = [
        row
        for name, run in server.everything()["runs"].items()
        if name.startswith("real-") and not name.endswith("-study")
        for row in run["history"].values()
    ]
    assert all(row["system/memory_bytes"] > 10**7 and row["attempt"] == 1 for row in rows)
    assert len(rows) == sum(len(record.reports) for record in study.records())
    assert KEY not in shown.getvalue()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".pkl" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
