"""A comparison for people: the table, the curves, what mattered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reports import report

from tripletune.search.comparison_pages import best_so_far, importance, page, write_pages
from tripletune.search.records import TrialRecord, TrialState
from tripletune.spaces import Recipe

TRIPLET = {"loss": {"name": "triplet", "margin": 0.2}, "miner": {"name": "semi_hard"}}
SUPCON = {"loss": {"name": "supcon", "temperature": 0.1}}


def trial(
    number: int,
    accuracy: float,
    objective: dict[str, Any],
    *,
    state: TrialState = "complete",
    dim: int = 64,
) -> TrialRecord:
    recipe = Recipe.model_validate(
        {
            "objective": objective,
            "encoder": {"name": "conv4", "embedding_dim": dim},
            "optimizer": {"learning_rate": 1e-3 * (1 + number % 5)},
        }
    )
    return TrialRecord(number, state, recipe, (report(400, accuracy),), attempts=1, failure=None)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "rank": 1,
        "family": "triplet",
        "miner": "semi_hard",
        "margin": 0.2,
        "temperature": None,
        "embedding_dim": 64,
        "selection": 0.81,
        "one_shot_accuracy": 0.8,
        "interval_over_seeds": [0.79, 0.81],
        "interval_over_both": [0.78, 0.82],
        "trials": 10,
        "device_seconds": 61.5,
    } | changes


CONTENT = {
    "comparison": "losses",
    "budget": {"trials": 10, "device_s": 60.0, "per": "loss", "seeds": 5, "episodes": 1000},
    "families": [row(), row(rank=2, family="supcon", margin=None, interval_over_seeds=None)],
    "without_a_score": ["margin"],
    "baselines": {"pixel_1nn": {"one_shot_accuracy": 0.25, "interval": [0.24, 0.26]}},
}


def test_table_has_ranks_scores_intervals_and_what_each_family_spent() -> None:
    lines = page(CONTENT, {"loss": 0.7, "miner": 0.3})
    text = "\n".join(lines)

    assert (
        "| 1 | triplet | semi_hard, margin 0.2, 64-d | 0.8100 | 0.8000 | 0.7900 to 0.8100 | "
        "0.7800 to 0.8200 | 10 | 62 |"
    ) in lines
    assert "| 2 | supcon | semi_hard, 64-d | 0.8100 | 0.8000 | - |" in text
    assert "pixel_1nn" in text
    assert "margin | no complete trial, or no seed gave a score" in text
    assert "10 trials, 60 device-seconds per loss" in text
    assert "- loss: 0.70" in lines
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {table[0].count("|")}


def test_the_curve_counts_what_unfinished_trials_cost_and_not_what_they_score() -> None:
    records = [
        trial(0, 0.5, TRIPLET),
        trial(1, 0.9, TRIPLET, state="running"),
        trial(2, 0.6, TRIPLET),
    ]

    assert best_so_far(records) == ([0.0, 100.0, 200.0, 300.0], [0.0, 0.5, 0.5, 0.6])


def test_what_decides_the_score_has_the_largest_share() -> None:
    random = np.random.default_rng(0)
    records = {
        name: [
            trial(n, base + 0.01 * random.random(), objective, dim=(32, 64)[n % 2])
            for n in range(30)
        ]
        for name, base, objective in (("triplet", 0.5, TRIPLET), ("supcon", 0.7, SUPCON))
    }

    shares = importance(records)

    assert set(shares) >= {"loss", "miner", "embedding_dim"}
    assert max(shares, key=lambda name: shares[name]) in ("loss", "miner")
    assert shares["loss"] > shares["embedding_dim"]
    assert sum(shares.values()) == pytest.approx(1.0)


def test_few_trials_say_nothing() -> None:
    assert importance({"triplet": [trial(0, 0.5, TRIPLET)]}) == {}


def test_pages_are_written_and_the_picture_can_be_read(tmp_path: Path) -> None:
    records = {"triplet": [trial(0, 0.5, TRIPLET), trial(1, 0.6, TRIPLET)], "supcon": []}

    write_pages(tmp_path, CONTENT, records)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["compare.md", "curves.png"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (960, 600)
