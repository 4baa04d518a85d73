"""Searches that are killed, stopped or starved from outside, and go on."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Running, tripletune
from toy_search import write_space

from tripletune.search.folder import StudyFolder
from tripletune.search.records import TrialRecord
from tripletune.search.study import Study

pytestmark = pytest.mark.slow

TRIALS = 6


@pytest.fixture
def arguments(images: Path, workplace: Path) -> list[str | Path]:
    """Of a search whose trials report often enough to be caught in their middle."""
    return [
        *("search", write_space(workplace), "--data", images, "--trials", str(TRIALS)),
        *("--name", "toy", "--no-wandb", "--concurrency", "2", "--scheduler", "none"),
        *("--set", "budget.steps=60"),
    ]


@pytest.fixture
def running(arguments: list[str | Path], workplace: Path) -> Iterator[Running]:
    """The search, with two trials finished and another in its middle."""
    search = Running(*arguments, cwd=workplace)
    try:
        for _ in range(2):
            search.wait_for(lambda line: " done at step 60" in line)
        search.wait_for(lambda line: re.match(r"trial [2-9] step ", line) is not None)
        yield search
    finally:
        if search.process.poll() is None:
            search.kill()


def records(workplace: Path) -> tuple[TrialRecord, ...]:
    return Study.open(StudyFolder(workplace / "runs" / "toy")).records()


def resumed(workplace: Path, *arguments: str) -> dict[str, Any]:
    """The leaderboard after the study was resumed to its end."""
    done = tripletune("resume", "toy", "--json", *arguments, cwd=workplace)
    assert done.returncode == 0, done.stderr
    board: dict[str, Any] = json.loads(done.stdout)
    return board


def assert_nothing_is_lost(
    before: tuple[TrialRecord, ...], after: tuple[TrialRecord, ...]
) -> None:
    """Finished trials stand; unfinished ones went on from what they had."""
    assert len(after) == TRIALS
    assert {record.state for record in after} == {"complete"}
    for then, now in zip(before, after, strict=False):
        assert now.recipe == then.recipe
        assert now.reports[: len(then.reports)] == then.reports
        assert now.attempts == then.attempts + (then.state == "running")
    for record in after:
        assert [report.step for report in record.reports] == list(range(2, 61, 2))


def test_killed_search_is_resumed_without_losing_or_repeating_a_trial(
    running: Running, workplace: Path
) -> None:
    running.kill()
    before = records(workplace)
    assert [record.state for record in before[:2]].count("complete") >= 1
    assert any(record.state == "running" and record.reports for record in before)

    board = resumed(workplace)

    after = records(workplace)
    assert_nothing_is_lost(before, after)
    assert [row["place"] for row in board["trials"]] == list(range(1, TRIALS + 1))
    assert {row["trial"] for row in board["trials"]} == set(range(TRIALS))
    assert (workplace / "runs" / "toy" / "best" / "model.safetensors").is_file()
    unfinished = next(record for record in before if record.state == "running" and record.reports)
    # It went on from its checkpoint: what it had trained was not trained again.
    repeated = after[unfinished.number].reports[len(unfinished.reports)]
    assert repeated.seconds > unfinished.reports[-1].seconds


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_stopped_search_says_how_it_goes_on(
    running: Running, workplace: Path, number: signal.Signals, status: int, word: str
) -> None:
    # Ctrl-C reaches every process of the terminal, SIGTERM the one that was addressed.
    if number == signal.SIGINT:
        running.send_to_group(number)
    else:
        running.process.send_signal(number)
    code, _ = running.wait()

    assert code == status
    *_, last = running.text.splitlines()
    assert last == (f"stopped: {word}. Nothing is lost; go on with: tripletune resume toy")
    assert "Traceback" not in running.text
    before = records(workplace)
    assert any(record.state == "running" for record in before)
    if number == signal.SIGTERM:
        resumed(workplace)
        assert_nothing_is_lost(before, records(workplace))


def test_second_ctrl_c_ends_at_once(running: Running, workplace: Path) -> None:
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    code, _ = running.wait()

    assert code in (-signal.SIGINT, 130)  # 130: the first one was quicker
    assert records(workplace)


def test_time_budget_is_an_end_as_planned(arguments: list[str | Path], workplace: Path) -> None:
    arguments[arguments.index("budget.steps=60")] = "budget.steps=1000000"

    done = tripletune(*arguments, "--time-budget", "1s", "--json", cwd=workplace)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["study"] == "toy"
    assert "stopped: the time budget is used up" in done.stderr
    assert "tripletune resume toy" in done.stderr


def test_small_disk_refuses_and_a_filling_one_interrupts(
    arguments: list[str | Path], workplace: Path
) -> None:
    disk = workplace / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own can only be mounted by root")
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(80 * 2**20))
        refused = tripletune(*arguments, "--runs", "disk/runs", cwd=workplace)
        assert refused.returncode == 1
        assert re.fullmatch(
            r"error: the disk is nearly full: \d\d MiB left in .*, 100 are kept in reserve: "
            r"free some, or choose another folder with --runs\n",
            refused.stderr,
        )

        filler.unlink()
        search = Running(*arguments, "--runs", "disk/runs", cwd=workplace)
        search.wait_for(lambda line: " done at step 60" in line)
        filler.write_bytes(bytes(80 * 2**20))
        code, _ = search.wait()
        assert code == 1
        assert "stopped: the disk is nearly full" in search.text
        assert "go on with: tripletune resume toy --runs disk/runs" in search.text
        before = Study.open(StudyFolder(disk / "runs" / "toy")).records()

        filler.unlink()
        resumed(workplace, "--runs", "disk/runs")
        assert_nothing_is_lost(before, Study.open(StudyFolder(disk / "runs" / "toy")).records())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
