"""Trials as models of few dimensions."""

import pytest
from reports import report

from tripletune.search.leaderboard import Leaderboard
from tripletune.search.records import TrialRecord, TrialState
from tripletune.search.under_dim import leading_size, under_dim
from tripletune.spaces import Recipe
from tripletune.trainables.report import Report


def trial(number: int, dim: int, *reports: Report, state: TrialState = "complete") -> TrialRecord:
    recipe = Recipe.model_validate(
        {"objective": {"loss": {"name": "supcon"}}, "encoder": {"embedding_dim": dim}}
    )
    return TrialRecord(number, state, recipe, reports, attempts=1, failure=None)


CURVE = {"8": [0.6, 0.58, 0.62], "16": [0.7, 0.68, 0.72], "32": [0.78, 0.76, 0.8]}
LARGE = trial(0, 64, report(300, 0.5), report(600, 0.8, sizes=CURVE))
SMALL = trial(1, 16, report(600, 0.75, sizes={"8": [0.5, 0.48, 0.52]}))
STOPPED = trial(2, 64, report(100, 0.7), state="pruned")
TINY = trial(3, 16, report(100, 0.3), state="pruned")


@pytest.mark.parametrize(("dim", "size"), [(7, None), (8, 8), (31, 16), (32, 32), (64, 64)])
def test_the_most_dimensions_that_were_scored_stand_for_a_trial(dim: int, size: int) -> None:
    assert leading_size(LARGE, dim) == size
    assert leading_size(STOPPED, dim) == (64 if dim == 64 else None)


def test_a_larger_trial_stands_with_the_score_of_its_leading_dimensions() -> None:
    large, small, tiny = under_dim([LARGE, SMALL, STOPPED, TINY], 16)
    assert large.last_report is not None
    assert (large.number, large.embedding_dim, large.size) == (0, 16, 16)
    shrunk = large.last_report
    assert (shrunk.one_shot_accuracy, shrunk.interval_low, shrunk.interval_high) == (
        0.7,
        0.68,
        0.72,
    )
    assert large.reports[0] == LARGE.reports[0]
    assert small is SMALL
    assert tiny is TINY
    assert (SMALL.embedding_dim, SMALL.size) == (16, None)


def test_another_trial_may_be_the_best_under_few_dimensions() -> None:
    whole = Leaderboard.from_records("toy", [LARGE, SMALL, STOPPED], baselines={})
    few = Leaderboard.from_records("toy", under_dim([LARGE, SMALL, STOPPED], 16), baselines={})
    assert whole.best is LARGE
    assert few.best is SMALL
    assert [row["embedding_dim"] for row in few.to_json()["trials"]] == [16, 16]


def test_no_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="--under-dim must be >= 1, got 0"):
        under_dim([LARGE], 0)
