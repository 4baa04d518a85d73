"""Ranking, and its forms: JSON, CSV, a table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reports import report
from rich.console import Console

from tripletune.search.leaderboard import CSV_COLUMNS, Leaderboard
from tripletune.search.records import TrialRecord, TrialState
from tripletune.spaces import Recipe
from tripletune.trainables.report import Report

BASELINES = {"pixel_1nn": {"one_shot_accuracy": 0.31, "interval": [0.29, 0.33]}}
LONGEST = {
    "loss": {"name": "triplet", "margin": 0.25},
    "miner": {"name": "easy_positive_semi_hard"},
}
WIDEST = {"loss": {"name": "soft_nearest_neighbor", "temperature": 0.123456}}


def trial(
    number: int,
    *reports: Report,
    state: TrialState = "complete",
    objective: dict[str, Any] | None = None,
    failure: str | None = None,
) -> TrialRecord:
    recipe = Recipe.model_validate({"objective": objective or LONGEST})
    return TrialRecord(number, state, recipe, reports, attempts=1, failure=failure)


def board(*records: TrialRecord) -> Leaderboard:
    return Leaderboard.from_records("omniglot-20261123-101500", records, baselines=BASELINES)


def order(*records: TrialRecord) -> list[int]:
    return [row.record.number for row in board(*records).rows]


def text(leaderboard: Leaderboard, *, is_terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=is_terminal, color_system=None)
    leaderboard.render_table(console)
    return stream.getvalue()


ALL_KINDS = (
    trial(0, report(600, 0.70)),
    trial(1, report(100, 0.95), state="pruned", objective=WIDEST),
    trial(2, report(600, 0.99, is_collapsed=True)),
    trial(3, report(100, 0.99), state="failed", failure="loss is NaN at step 120"),
    trial(4, state="running"),
    trial(5, report(600, 0.50), report(600, 0.90)),
    trial(6, report(600, float("nan")), state="failed", failure="a\nlong " + 30 * "reason "),
    trial(7, report(200, 0.80), state="running"),
)


def test_the_last_report_ranks_and_a_stopped_trial_stands_where_its_score_puts_it() -> None:
    assert order(*ALL_KINDS) == [1, 5, 7, 0, 2, 3, 4, 6]
    assert [row.place for row in board(*ALL_KINDS).rows] == list(range(1, 9))


def episodes(*accuracies: float, seed: int = 0) -> dict[int, NDArray[np.float32]]:
    """Scores of trials 0, 1, ... on the same 400 episodes of varying difficulty."""
    random = np.random.default_rng(seed)
    difficulty = random.normal(0, 0.2, 400)
    noise = random.normal(0, 0.02, (len(accuracies), 400))
    noise -= noise.mean(axis=1, keepdims=True)
    table = np.array(accuracies)[:, None] + difficulty - difficulty.mean() + noise
    return dict(enumerate(table.astype(np.float32)))


def test_trials_that_cannot_be_told_apart_share_a_rank() -> None:
    trials = [trial(0, report(600, 0.80)), trial(1, report(600, 0.81)), trial(2, report(600, 0.5))]

    assert [(row.rank, row.record.number) for row in board(*trials).rows] == [
        (1, 1),
        (1, 0),
        (3, 2),
    ]
    assert "2 trials share rank 1: they cannot be told apart" in text(board(*trials))


def test_the_same_episodes_tell_apart_what_the_intervals_do_not() -> None:
    accuracies = (0.80, 0.81)
    trials = [trial(n, report(600, accuracy)) for n, accuracy in enumerate(accuracies)]

    unpaired = Leaderboard.from_records("toy", trials, baselines={})
    paired = Leaderboard.from_records("toy", trials, baselines={}, scores=episodes(*accuracies))

    assert [row.rank for row in unpaired.rows] == [1, 1]
    assert [row.rank for row in paired.rows] == [1, 2]
    assert unpaired.to_json()["optimism"] is None


def test_trials_without_their_episodes_are_compared_by_intervals() -> None:
    trials = [trial(n, report(600, a)) for n, a in enumerate((0.80, 0.81, 0.805))]
    scores = episodes(0.80, 0.81)

    leaderboard = Leaderboard.from_records("toy", trials, baselines={}, scores=scores)

    assert [(row.record.number, row.rank) for row in leaderboard.rows] == [(1, 1), (2, 1), (0, 2)]


def test_the_luck_of_the_best_of_many_stands_beside_it() -> None:
    trials = [trial(n, report(600, 0.8)) for n in range(8)]
    random = np.random.default_rng(1)
    scores = {n: random.normal(0.8, 0.2, 400).astype(np.float32) for n in range(8)}

    leaderboard = Leaderboard.from_records("toy", trials, baselines={}, scores=scores)

    assert leaderboard.optimism is not None
    # The highest of 8 equal means of 400 episodes: 1.42 standard errors of 0.2 / 20.
    assert leaderboard.optimism == pytest.approx(0.0142, rel=0.3)
    assert leaderboard.to_json()["optimism"]["best_of"] == 8
    assert f"the best of 8 is partly luck: expect {leaderboard.optimism:.3f} less" in text(
        leaderboard
    )


def test_the_best_is_the_first_that_trained_its_whole_budget() -> None:
    best = board(*ALL_KINDS).best
    assert best is not None
    assert best.number == 5


def test_of_equal_scores_the_complete_and_then_the_older_trial_comes_first() -> None:
    stopped = trial(0, report(100, 0.8), state="pruned")
    assert order(trial(2, report(600, 0.8)), stopped, trial(1, report(600, 0.8))) == [1, 2, 0]


def test_the_order_of_the_records_does_not_matter() -> None:
    assert order(*reversed(ALL_KINDS)) == order(*ALL_KINDS)


@pytest.mark.parametrize(
    "records",
    [
        (),
        (trial(0, state="failed", failure="no space left on device"),),
        (trial(0, report(600, 0.9), state="pruned"),),
        (trial(0, report(600, 0.9, is_collapsed=True)),),
    ],
    ids=["empty", "all failed", "none complete", "all collapsed"],
)
def test_without_a_complete_trial_nothing_is_best_and_every_form_still_works(
    records: tuple[TrialRecord, ...], tmp_path: Path
) -> None:
    leaderboard = board(*records)
    assert leaderboard.best is None
    assert len(leaderboard.to_json()["trials"]) == len(records)
    leaderboard.to_csv(tmp_path / "leaderboard.csv")
    assert "nothing to export" in text(leaderboard) or "no trials yet" in text(leaderboard)


def test_json_has_the_promised_shape_and_is_valid_with_nan() -> None:
    content = board(*ALL_KINDS).to_json()
    parsed = json.loads(json.dumps(content, allow_nan=False))
    assert parsed == content
    assert list(content) == ["study", "metric", "trials", "baselines", "optimism", "confirmed"]
    assert content["metric"] == "one_shot_accuracy"
    assert content["baselines"] == BASELINES
    first, failed = content["trials"][1], content["trials"][-1]
    assert first == {
        "rank": 2,
        "place": 2,
        "trial": 5,
        "state": "complete",
        "recipe": ALL_KINDS[5].recipe.to_dict(),
        "one_shot_accuracy": 0.90,
        "interval": [0.888, 0.912],
        "steps": 600,
        "seconds": 150.0,
        "loss": "triplet",
        "miner": "easy_positive_semi_hard",
        "margin": 0.25,
        "temperature": None,
        "encoder": "conv4",
        "embedding_dim": 64,
        "attempts": 1,
        "lost": [],
        "device_seconds": 0,
        "peak_bytes": None,
        "checkpoint": None,
        "wandb_id": None,
        "collapsed": False,
        "failure": None,
        "traceback": None,
    }
    assert failed["one_shot_accuracy"] is None
    assert failed["failure"] == ALL_KINDS[6].failure


def test_csv_has_a_line_a_trial_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.csv"
    path.write_text("old")
    board(*ALL_KINDS).to_csv(path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [1, 5, 7, 0, 2, 3, 4, 6]
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[0]["one_shot_accuracy"] == "0.95"
    assert rows[0]["recipe"] == ALL_KINDS[1].recipe.digest
    assert [child.name for child in tmp_path.iterdir()] == ["leaderboard.csv"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_table_fits_80_columns_with_the_longest_names(is_terminal: bool) -> None:
    lines = text(board(*ALL_KINDS), is_terminal=is_terminal).splitlines()
    assert max(map(len, lines)) <= 80
    table = lines[: 1 + len(ALL_KINDS)]
    assert not [line for line in table if "…" in line]  # nothing that matters is cut
    assert any("0.900 ±0.012" in line and "easy_semi" in line for line in lines)
    assert any("pixel 1nn" in line and "0.310 ±0.020" in line for line in lines)
    assert any(line.startswith("trial 3 failed at step 100: loss is NaN") for line in lines)
    assert any(line.startswith("trial 2 collapsed") for line in lines)


def test_the_piped_table_is_plain() -> None:
    piped = text(board(*ALL_KINDS))
    assert "\x1b" not in piped
    assert piped.isascii() or set(filter(lambda c: not c.isascii(), piped)) <= {"±", "…"}
