"""A search seen from another process: its events, its lines, its JSON."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from command_line import environment, tripletune
from reports import report
from rich.console import Console
from toy_study import add_report, empty_study, toy_study

from tripletune.search.json_lines import JsonLines
from tripletune.search.live import LiveTable
from tripletune.search.outlook import rungs_reached, seconds_left
from tripletune.search.sparkline import sparkline
from tripletune.search.study import Study
from tripletune.search.watching import StudyWatcher, follow


def watched(study: Study) -> tuple[StudyWatcher, io.StringIO]:
    """A watcher of its own handle, as another process has it."""
    stream = io.StringIO()
    return StudyWatcher(Study.open(study.folder), [JsonLines(stream)]), stream


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_start_report_and_end_is_told_once(tmp_path: Path) -> None:
    study = empty_study(tmp_path / "toy")
    watcher, stream = watched(study)
    assert not watcher.look()

    number = study.ask(study.space).number
    study.start(number)
    assert watcher.look()
    add_report(study, number, 2)
    add_report(study, number, 6)
    watcher.look()
    study.start(number)  # after its process was lost
    add_report(study, number, 18)
    study.finish(number)
    watcher.look()
    assert not watcher.look()

    assert [each["event"] for each in events(stream)] == [
        "trial_started",
        "trial_reported",
        "trial_reported",
        "trial_started",
        "trial_reported",
        "trial_ended",
    ]
    assert [each["report"]["step"] for each in events(stream) if "reported" in each["event"]] == [
        2,
        6,
        18,
    ]
    assert events(stream)[-1]["state"] == "complete"


def test_what_is_written_before_the_search_ends_is_seen(tmp_path: Path) -> None:
    study = empty_study(tmp_path / "toy")
    watcher, stream = watched(study)

    def end_after_a_last_report() -> bool:
        number = study.ask(study.space).number
        study.start(number)
        add_report(study, number, 18)
        study.finish(number)
        return False

    follow(watcher, end_after_a_last_report, lambda: True)

    assert events(stream)[-1]["event"] == "trial_ended"


def test_json_lines_hold_no_nan_and_name_the_best(tmp_path: Path) -> None:
    study = toy_study(tmp_path / "toy")
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines.trial_reported(2, 1, report(6, 0.4, loss=float("nan"), scores={"recall": 0.5}))
    lines.study_ended(study)

    reported, ended = events(stream)
    assert reported["report"]["loss"] is None
    assert reported["report"]["scores"] == {"recall": 0.5}
    assert ended["trials"] == {"complete": 2, "failed": 1, "pruned": 2, "running": 1}
    assert ended["best"]["trial"] == 4


def test_reader_that_went_away_ends_the_writing_quietly() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    lines = JsonLines(Gone())
    lines.trial_reported(0, 1, report(2, 0.5))
    lines.trial_reported(0, 1, report(4, 0.5))


def test_watch_in_a_pipe_prints_lines_and_says_that_nobody_runs_it(tmp_path: Path) -> None:
    study = toy_study(tmp_path / "runs" / "toy")

    done = tripletune("watch", "toy", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "baseline pixel 1nn: 0.310 ±0.020",
        "no process runs toy: tripletune resume toy",
    ]
    known = tripletune("watch", "toy", "--json-lines", cwd=tmp_path)
    objects = [json.loads(line) for line in known.stdout.splitlines()]
    assert [each["event"] for each in objects] == ["trial_known"] * 6 + ["study_ended"]
    assert study.folder.is_claimed() is False


def test_watch_follows_until_the_process_that_runs_the_study_is_gone(tmp_path: Path) -> None:
    study = empty_study(tmp_path / "runs" / "toy")
    with study.folder.claimed():
        watching = subprocess.Popen(
            [sys.executable, "-m", "tripletune", "watch", "toy", "--json-lines"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        number = study.ask(study.space).number
        study.start(number)
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())  # known or started, by who was first
        assert first["event"] in ("trial_known", "trial_started")
        add_report(study, number, 18)
        study.finish(number)
    rest, _ = watching.communicate(timeout=300)
    seen = [json.loads(line) for line in rest.splitlines()]
    assert [each["event"] for each in seen][-1] == "study_ended"
    assert seen[-1]["best"]["trial"] == number
    assert watching.returncode == 0


def test_sparkline_grows_with_the_trial_and_all_share_one_scale() -> None:
    def line(*values: float) -> str:
        steps = [60 * (place + 1) for place in range(len(values))]
        return sparkline(steps, values, budget=600, low=0.0, high=0.8)

    assert line(0.0, 0.4, 0.8) == "▁▅█"
    assert line(0.1, float("nan")) == "▂▁"
    assert line() == " " * 10
    assert sparkline([300], [0.8], budget=600, low=0.0, high=0.8) == "    █"


def test_time_left_counts_what_running_trials_have_behind_them(tmp_path: Path) -> None:
    records = toy_study(tmp_path / "toy").records()
    over = [record.seconds for record in records if record.state != "running"]
    mean = sum(over) / len(over)

    left = seconds_left(records, 10, slots=2)

    assert left == (4 * mean + (mean - records[5].seconds)) / 2
    assert seconds_left(records, 10, slots=None) is None
    assert rungs_reached(records) == "2:6 6:4 18:2"


def test_table_shows_curves_slots_and_rungs_in_80_columns(tmp_path: Path) -> None:
    study = toy_study(tmp_path / "toy")
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    live = LiveTable(console)
    live.open(study.records(), 20, {}, study="toy", slots=2)
    live.close()
    seen = Console(file=io.StringIO(), width=80, record=True)
    seen.print(live.render())
    lines = seen.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert "1 of 2 slots busy   rungs 2:6 6:4 18:2" in lines
    (best,) = (line for line in lines if line.split()[:1] == ["4"])
    assert "█" in best
    assert not [line for line in lines if "…" in line]
