"""What a person sees of a search, in a terminal of 80 columns and in a pipe."""

import io
from typing import Any

import pytest
from reports import report
from rich.console import Console

from tripletune.search.live import LiveTable
from tripletune.search.records import TrialRecord, TrialState
from tripletune.spaces import Recipe
from tripletune.trainables.report import Report

BASELINES = {"pixel_1nn": {"one_shot_accuracy": 0.31, "interval": [0.29, 0.33]}}
OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"loss": {"name": "soft_nearest_neighbor", "temperature": 0.2}},
    {
        "loss": {"name": "triplet", "margin": 0.2},
        "miner": {"name": "easy_positive_semi_hard"},
    },
    {"loss": {"name": "contrastive", "margin": 1.25}, "miner": {"name": "distance_weighted"}},
)
NAME = "omniglot-with-a-rather-long-name-20261123-101500"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def trial(
    number: int, *reports: Report, state: TrialState = "running", failure: str | None = None
) -> TrialRecord:
    recipe = Recipe.model_validate({"objective": OBJECTIVES[number % 3]})
    return TrialRecord(number, state, recipe, reports, attempts=1, failure=failure)


def play(live: LiveTable, clock: Clock) -> None:
    """A search of 30 trials, half way."""
    live.open([], 30, BASELINES, study=NAME)
    for number in range(15):
        live.trial_started(trial(number))
        reports = [report(step, 0.6 + number / 100) for step in (100, 200)]
        for each in reports:
            live.trial_reported(number, 1, each)
        clock.now += 10.0
        if number == 3:
            failure = "loss is NaN at step 210: " + 20 * "details "
            live.trial_ended(trial(number, *reports, state="failed", failure=failure))
        elif number == 4:
            reports.append(report(600, 0.2, is_collapsed=True))
            live.trial_ended(trial(number, *reports, state="complete"))
        elif number % 2:
            live.trial_ended(trial(number, *reports, state="pruned"))
        elif number < 13:
            live.trial_ended(trial(number, *reports, report(600, 0.9), state="complete"))
    live.trial_started(trial(15))


def screen(height: int = 24) -> list[str]:
    clock = Clock()
    console = Console(
        file=io.StringIO(), width=80, height=height, force_terminal=True, color_system=None
    )
    live = LiveTable(console, clock=clock)
    play(live, clock)
    live.close(1.0)
    seen = Console(file=io.StringIO(), width=80, height=height, record=True)
    seen.print(live.render())
    return seen.export_text().splitlines()


def piped() -> list[str]:
    clock, stream = Clock(), io.StringIO()
    live = LiveTable(Console(file=stream, width=80), clock=clock)
    play(live, clock)
    live.message("stopped: Ctrl-C. " + 20 * "words ")
    live.close(1.0)
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def test_the_header_says_how_far_the_search_is() -> None:
    title, counts, rungs, best = screen()[:4]
    assert title.startswith("omniglot-with-a-rather-long")
    assert title.endswith("2:30, about 2:51 left")  # 14 of 30 trials in 150 s
    assert counts == "2 running, 6 done, 6 stopped, 1 failed, 1 collapsed, of 30 trials"
    assert rungs == "rungs 100:15 300:7 600:7"
    assert best == "best 0.900 ±0.012 (trial 0)   pixel 1nn 0.310 ±0.020"


def test_running_trials_come_first_and_then_the_best_of_the_others() -> None:
    numbers = [line.split()[0] for line in screen()[5:18]]
    assert numbers[:5] == ["14", "15", "0", "2", "6"]


def test_every_line_fits_and_nothing_that_matters_is_cut() -> None:
    lines = screen()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if "/600" in line]
    assert not [line for line in rows if "…" in line]
    assert any("soft_nn" in line for line in rows)
    assert any("easy_semi" in line for line in rows)
    assert lines[-2].startswith("trial 3 failed at step 200: loss is NaN at step 210")
    assert lines[-1] == "trial 4 collapsed at step 600: all embeddings in one place"


@pytest.mark.parametrize("height", [10, 16, 24, 50])
def test_the_table_never_grows_out_of_the_terminal(height: int) -> None:
    lines = screen(height)
    assert len(lines) < height
    if height < 24:
        assert any("more trials" in line for line in lines)


def test_in_a_pipe_each_event_is_one_plain_line() -> None:
    lines = piped()
    assert lines[0] == "baseline pixel 1nn: 0.310 ±0.020"
    assert lines[1:5] == [
        "trial 0 started: soft_nn, t 0.2, none, dim 64",
        "trial 0 step 100/600: 0.600 ±0.012 25s",
        "trial 0 step 200/600: 0.600 ±0.012 50s",
        "trial 0 done at step 600: 0.900 ±0.012 2:30",
    ]
    assert max(len(line) for line in lines if line.startswith("trial")) == 100
    assert any(line.startswith("trial 3 failed at step 200: loss is NaN") for line in lines)
    assert lines[-1] == "stopped: Ctrl-C. " + 20 * "words "  # a message is not cut


def test_a_resumed_search_shows_what_is_there_and_paces_itself_on_the_new_trials() -> None:
    clock = Clock()
    console = Console(file=io.StringIO(), width=80)
    live = LiveTable(console, clock=clock)
    before = [trial(number, report(600, 0.5), state="complete") for number in range(10)]
    live.open(before, 12, BASELINES, study="again")
    with console.capture() as first:
        console.print(live.render())
    assert first.get().splitlines()[0].endswith("0s")  # no guess yet
    live.trial_started(trial(10))
    clock.now = 60.0
    live.trial_ended(trial(10, report(600, 0.9), state="complete"))
    with console.capture() as second:
        console.print(live.render())
    lines = second.get().splitlines()
    assert lines[0].endswith("1:00, about 1:00 left")
    assert lines[1] == "11 done, of 12 trials"


class ClosedPipe(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError(text)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_search_survives_the_end_of_its_terminal(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(console: Console) -> None:  # as rich, which also closes the process's output
        raise SystemExit(1)

    monkeypatch.setattr(Console, "on_broken_pipe", leave)
    console = Console(file=ClosedPipe(), width=80, force_terminal=is_terminal)
    live = LiveTable(console)
    play(live, Clock())
    live.close(1.0)
    assert console.quiet


def test_silent_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveTable.silent()
    play(live, Clock())
    live.message("a word")
    live.close(1.0)
    assert capsys.readouterr() == ("", "")
