"""The W&B tracker against the real client, its files on disk and a stand-in server."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reports import report
from wandb_stand_in import KEY, LONG_S, StandIn, hide_account, stand_in

from tripletune.search.records import TrialRecord
from tripletune.search.trackers import WandbTracker
from tripletune.search.trackers.run_content import report_row
from tripletune.search.trackers.wandb_uploader.login import has_login, without_secrets
from tripletune.spaces import Recipe
from tripletune.trainables.report import Report

RECIPE = Recipe.model_validate({"objective": {"loss": {"name": "supcon", "temperature": 0.07}}})


def reports(*steps: int) -> tuple[Report, ...]:
    return tuple(report(step, step / 1000) for step in steps)


def trial(number: int = 0, *steps: int, **changes: Any) -> TrialRecord:
    record = TrialRecord(number, "running", RECIPE, reports(*steps), attempts=1, failure=None)
    return replace(record, **changes)


@dataclass
class RunFile:
    """What a `.wandb` file holds."""

    run_id: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    is_preempting: bool = False

    @property
    def steps(self) -> list[int]:
        return [row["_step"] for row in self.rows]


def records_of(path: Path) -> Iterator[bytes]:
    """The records of a `.wandb` file: a header of 7 bytes, then LevelDB's log format."""
    content, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left_in_block = 32768 - position % 32768
        if left_in_block < 7:
            position += left_in_block
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        kind = content[position + 6]  # 1 full, 2 first, 3 middle, 4 last
        piece = content[position + 7 : position + 7 + length]
        record = piece if kind in (1, 2) else record + piece
        position += 7 + length
        if kind in (1, 4):
            yield record


def read_run(path: Path) -> RunFile:
    from wandb.proto import wandb_internal_pb2

    found = RunFile()
    for content in records_of(path):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # made at import
        record.ParseFromString(content)
        match record.WhichOneof("record_type"):
            case "run":
                found.run_id, found.group = record.run.run_id, record.run.run_group
                found.tags = list(record.run.tags)
                found.config |= {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
            case "history":
                items = record.history.item
                found.rows.append(
                    {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
                )
            case "summary":
                found.summary |= {
                    i.key or "/".join(i.nested_key): json.loads(i.value_json)
                    for i in record.summary.update
                }
            case "preempting":
                found.is_preempting = True
            case "exit":
                found.exit_code = record.exit.exit_code
    return found


def run_files(folder: Path, pattern: str = "*run-*") -> dict[int, list[RunFile]]:
    """The files of each trial, oldest first."""
    found: dict[int, list[RunFile]] = {}
    paths = sorted(folder.glob(f"wandb/{pattern}/*.wandb"), key=lambda p: p.stat().st_mtime_ns)
    for path in paths:
        number = int(path.stem.rsplit("-", 1)[1])
        found.setdefault(number, []).append(read_run(path))
    return found


@pytest.fixture
def server(no_account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with stand_in() as standing:
        for name, value in standing.environment().items():
            monkeypatch.setenv(name, value)
        yield standing


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hide_account(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)


def tracker(folder: Path, warnings: list[str], **options: Any) -> WandbTracker:
    return WandbTracker("a study", folder, warn=warnings.append, **options)


def rows_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for _, row in sorted(run["history"].items(), key=lambda item: int(item[0]))]


def follow(tracker: WandbTracker, number: int, *steps: int, state: str = "complete") -> None:
    tracker.trial_started(trial(number))
    for each in reports(*steps):
        tracker.trial_reported(number, 1, each)
    tracker.trial_ended(trial(number, *steps, state=state))


def test_without_an_account_the_offline_files_hold_everything(tmp_path: Path) -> None:
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings, tags=["mine"])
    watched.trial_started(trial(1))  # two trials at once, in one process
    follow(watched, 0, 100, 200, 300)
    watched.trial_reported(1, 1, replace(reports(100)[0], loss=float("nan")))
    watched.trial_ended(trial(1, state="failed", failure="loss is NaN at step 100"))
    follow(watched, 2, 100, state="pruned")
    watched.trial_started(trial(3, 100, 200, attempts=2))  # of a resumed study
    watched.trial_reported(3, 2, reports(300)[0])
    watched.close(LONG_S)

    files = run_files(tmp_path / "study", "offline-run-*")
    assert sorted(files) == [0, 1, 2, 3]
    assert files[3][0].steps == [100, 200, 300]  # this file is enough to upload the trial
    assert files[3][0].summary["state"] == "interrupted"
    (first,), (failed,), (pruned,) = files[0], files[1], files[2]
    assert first.steps == [100, 200, 300]
    expected = report_row(replace(report(0, 0.5), memory_bytes=10**8)).values
    assert expected.keys() - {"system/memory_bytes"} <= first.rows[0].keys()
    assert [row["one_shot_accuracy"] for row in first.rows] == [0.1, 0.2, 0.3]
    assert {key: first.config[key] for key in RECIPE.to_dict()} == RECIPE.to_dict()
    assert first.group == "a study"
    assert sorted(first.tags) == ["mine", "none", "supcon"]
    assert first.summary["best_one_shot_accuracy"] == 0.3
    assert (first.summary["state"], first.exit_code) == ("complete", 0)
    assert failed.rows[0]["loss"] != failed.rows[0]["loss"]
    assert failed.summary["failure"] == "loss is NaN at step 100"
    assert (failed.summary["state"], failed.exit_code) == ("failed", 1)
    assert (pruned.summary["state"], pruned.exit_code) == ("pruned", 0)
    assert len({first.run_id, failed.run_id, pruned.run_id}) == 3
    assert warnings == []
    assert watched.process_id is not None
    with pytest.raises(ProcessLookupError):  # the service of W&B was in the same group
        os.killpg(watched.process_id, 0)


def test_with_an_account_all_history_arrives_and_a_resumed_study_continues_its_runs(
    tmp_path: Path, server: StandIn
) -> None:
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings)
    steps = tuple(range(10, 1010, 10))
    follow(watched, 0, *steps)
    watched.trial_started(trial(1))
    follow(watched, 2, 100, 200, state="pruned")
    for each in reports(100, 200):
        watched.trial_reported(1, 1, each)
    watched.close(LONG_S)

    runs = server.received()
    assert [row["_step"] for row in rows_of(runs["0000"])] == list(steps)
    assert json.loads(runs["0000"]["config"])["objective"]["value"]["loss"]["temperature"] == 0.07
    assert (runs["0000"]["groupName"], runs["0000"]["displayName"]) == (
        "a study",
        "0000 supcon none",
    )
    assert runs["0000"]["summary"]["state"] == "complete"
    assert all(run["is_finished"] for run in runs.values())
    assert runs["0001"]["summary"]["state"] == "interrupted"
    assert [runs[f"{number:04d}"]["exit_code"] for number in (0, 1, 2)] == [0, 1, 0]

    watched = tracker(tmp_path / "study", warnings)
    watched.trial_started(trial(1, 100, 200, attempts=2))
    watched.trial_reported(1, 2, replace(reports(200)[0], one_shot_accuracy=0.9))  # repeated
    watched.trial_reported(1, 2, reports(300)[0])
    watched.trial_ended(trial(1, 100, 200, 300, attempts=2, state="complete"))
    watched.close(LONG_S)

    runs = server.received()
    assert [(row["_step"], row["one_shot_accuracy"]) for row in rows_of(runs["0001"])] == [
        (100, 0.1),
        (200, 0.2),
        (300, 0.3),
    ]
    assert (runs["0001"]["summary"]["state"], runs["0001"]["summary"]["attempts"]) == (
        "complete",
        2,
    )
    assert len(runs) == 3
    assert warnings == []


@pytest.mark.parametrize("cause", ["unreachable", "refused key"])
def test_without_a_server_the_files_are_complete_and_one_line_says_so(
    cause: str, tmp_path: Path, server: StandIn
) -> None:
    server.fault("key" if cause == "refused key" else "refuse")
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings, init_timeout_s=1.0, finish_timeout_s=1.0)
    follow(watched, 0, 100, 200)
    follow(watched, 1, 100)
    watched.close(LONG_S)

    files = run_files(tmp_path / "study", "offline-run-*")
    assert [file.steps for (file,) in (files[0], files[1])] == [[100, 200], [100]]
    assert files[0][0].summary["state"] == "complete"
    (warning,) = warnings
    assert watched.sync_command in warning
    assert "\n" not in warning
    for path in (tmp_path / "study").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in warning


def test_a_search_shorter_than_the_wait_for_the_server_keeps_complete_files(
    tmp_path: Path, server: StandIn
) -> None:
    server.fault("refuse")
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings, init_timeout_s=2 * LONG_S)
    follow(watched, 0, 100, 200)
    watched.close(LONG_S)

    ((file,),) = run_files(tmp_path / "study", "offline-run-*").values()
    assert file.steps == [100, 200]
    assert (file.summary["state"], file.exit_code) == ("complete", 0)
    (warning,) = warnings
    assert "no connection to 127.0.0.1:" in warning
    assert watched.sync_command in warning


def test_a_server_that_never_answers_ends_in_a_message_that_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        watched = tracker(tmp_path / "study", warnings, init_timeout_s=2 * LONG_S)
        follow(watched, 0, 100, 200)
        deaf.accept()[0].close()  # the look whether there is a server
        began = time.monotonic()
        watched.close(2.0)

    assert time.monotonic() - began < LONG_S
    (warning,) = warnings
    assert "may lack reports, the study lacks none" in warning
    assert watched.process_id is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(watched.process_id, 0)


@pytest.mark.slow
def test_a_server_that_dies_leaves_complete_files_that_sync_uploads(
    tmp_path: Path, server: StandIn
) -> None:
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings, init_timeout_s=1.0, finish_timeout_s=2.0)
    watched.trial_started(trial(0))
    watched.trial_reported(0, 1, reports(100)[0])
    server.received("/wait/runs/1")
    server.fault("refuse")
    watched.trial_reported(0, 1, reports(200)[0])
    follow(watched, 1, 100, 200)  # cannot be opened online: goes offline, and trial 0 with it
    watched.trial_reported(0, 1, reports(300)[0])
    watched.trial_ended(trial(0, 100, 200, 300, state="complete"))
    watched.close(LONG_S)
    files = run_files(tmp_path / "study", "offline-run-*")
    assert [file.steps for (file,) in (files[0], files[1])] == [[100, 200, 300], [100, 200]]

    server.fault("none")
    command = f"wandb sync {tmp_path / 'study'}/wandb/*run-*"
    script = Path(sys.executable).with_name("wandb")
    if not script.exists():
        pytest.skip("the wandb command is not beside this Python")
    subprocess.run(
        command.replace("wandb", str(script), 1),
        shell=True,
        check=True,
        timeout=LONG_S,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    runs = server.received()
    assert sorted({row["_step"] for row in runs["0000"]["history"].values()}) == [100, 200, 300]
    assert sorted({row["_step"] for row in runs["0001"]["history"].values()}) == [100, 200]


@pytest.mark.slow
def test_close_is_bounded_when_the_server_died_and_the_files_are_complete(
    tmp_path: Path, server: StandIn
) -> None:
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings, finish_timeout_s=LONG_S)
    watched.trial_started(trial(0))
    server.received("/wait/runs/1")
    server.fault("refuse")
    for each in reports(100, 200):
        watched.trial_reported(0, 1, each)
    watched.trial_ended(trial(0, 100, 200, state="complete"))
    began = time.monotonic()
    watched.close(4.0)
    assert time.monotonic() - began < 4.0 + 2.0 + LONG_S / 4  # nowhere near the finish timeout
    (warning,) = warnings
    assert watched.sync_command in warning
    ((file,),) = run_files(tmp_path / "study").values()
    assert file.steps == [100, 200]
    assert (file.summary["state"], file.exit_code) == ("complete", 0)


DRIVER = """
import sys
import time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_wandb import follow, reports, tracker, trial
watched = tracker(Path(sys.argv[1]), [])
watched.trial_started(trial(0))
watched.trial_reported(0, 1, reports(100)[0])
while watched._messages.qsize() or not list(Path(sys.argv[1]).glob("wandb/*run-*/*.wandb")):
    time.sleep(0)
print(watched.process_id, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is not ours")
@pytest.mark.slow
def test_after_the_driver_is_killed_the_uploader_finishes_its_files_and_ends(
    tmp_path: Path,
) -> None:
    package = next(path for path in sys.path if (Path(path) / "tripletune").exists())
    study, here = tmp_path / "study", Path(__file__).parent
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            DRIVER,
            *map(str, (study, here, here.parents[1] / "support")),
            package,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert driver.stdout is not None
    process_id = int(driver.stdout.readline())
    assert os.getsid(process_id) != os.getsid(0)  # out of reach of the terminal's Ctrl-C
    uploader = os.pidfd_open(process_id)
    os.kill(process_id, signal.SIGINT)  # and deaf to it
    driver.kill()
    driver.communicate()
    assert select.select([uploader], [], [], LONG_S)[0], "the uploader did not end"
    os.close(uploader)

    ((file,),) = run_files(study).values()
    assert file.steps == [100]
    assert (file.summary["state"], file.exit_code) == ("interrupted", 1)
    assert file.is_preempting


def test_an_uploader_that_is_killed_is_reported_once_and_never_raised(tmp_path: Path) -> None:
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings)
    while watched.process_id is None:
        time.sleep(0)
    os.kill(watched.process_id, signal.SIGKILL)
    for number in range(2000):  # more than a pipe holds
        follow(watched, number, 100, 200)
    watched.close(LONG_S)
    assert len(warnings) == 1
    assert "the search goes on" in warnings[0]


def test_a_stuck_uploader_costs_the_driver_nothing_and_keeps_the_queue_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tripletune.search.trackers import wandb

    monkeypatch.setattr(wandb, "MAX_WAITING_REPORTS", 50)
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings)
    while watched.process_id is None:
        time.sleep(0)
    os.kill(watched.process_id, signal.SIGSTOP)
    steps = tuple(range(1, 1001))
    watched.trial_started(trial(0))
    for each in reports(*steps):
        watched.trial_reported(0, 1, each)
    watched.trial_ended(trial(0, *steps, state="complete"))
    assert watched._messages.qsize() <= 52
    os.kill(watched.process_id, signal.SIGCONT)
    watched.close(LONG_S)
    ((file,),) = run_files(tmp_path / "study").values()
    assert file.steps == list(steps)  # what was refused came with the end
    assert warnings == []


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("a file where the folder should be")
    warnings: list[str] = []
    watched = tracker(tmp_path / "study", warnings)
    watched._writer.join(LONG_S)
    follow(watched, 0, 100)
    watched.close(LONG_S)
    (warning,) = warnings
    assert "the search goes on" in warning


@pytest.mark.parametrize(
    ("netrc", "expected"),
    [
        (None, False),
        ("machine api.example.org login user password secret", True),
        ("machine elsewhere.example.org login user password secret", False),
        ("not a netrc file", False),
    ],
)
def test_a_login_is_found_in_netrc_without_asking_anyone(
    netrc: str | None, expected: bool, tmp_path: Path
) -> None:
    if netrc is not None:
        (tmp_path / "netrc").write_text(netrc)
        (tmp_path / "netrc").chmod(0o600)
    settings = SimpleNamespace(
        api_key=None, identity_token_file=None, base_url="https://api.example.org"
    )
    assert has_login(settings) == expected


def test_a_warning_is_one_short_line_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    text = without_secrets(f"refused:\n  key {KEY}\n" + 100 * "details ")
    assert text.startswith("refused: key *** details")
    assert len(text) == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "sometimes"}, "mode must be one of auto, online, offline, got mode='sometimes'"),
        ({"project": "a/b"}, r"project must be a name without .*, got project='a/b'"),
        ({"tags": [""]}, "a tag must have 1 to 64 characters, got ''"),
    ],
)
def test_what_wandb_would_refuse_is_refused_at_once(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        tracker(tmp_path, [], **options)
