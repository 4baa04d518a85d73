"""Every family the same budget, the best of each confirmed, one table; nothing is done twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from toy_search import toy_options, toy_space

from tripletune.search.compare import CompareOptions, compare
from tripletune.search.folder import StudyError

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

OPTIONS = CompareOptions(search=toy_options(2, scheduler="none"), seeds=2, episodes=200)


@pytest.fixture(scope="module")
def comparison(
    images: Path, ray_session: object, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    runs = tmp_path_factory.mktemp("runs")
    return runs, compare(toy_space(images), OPTIONS, name="losses", runs=runs)


def test_every_family_is_searched_confirmed_and_ranked(
    comparison: tuple[Path, dict[str, Any]],
) -> None:
    runs, content = comparison

    rows = content["families"]
    assert {row["family"] for row in rows} == {"triplet", "supcon"}
    assert rows[0]["rank"] == 1
    assert rows[0]["one_shot_accuracy"] >= rows[1]["one_shot_accuracy"]
    for row in rows:
        assert row["loss"] == row["family"]
        assert (row["trials"], row["complete"], row["seeds"]) == (2, 2, 2)
        assert row["device_seconds"] > 0
        low, high = row["interval_over_both"]
        assert low <= row["one_shot_accuracy"] <= high
    folder = runs / "losses"
    assert json.loads((folder / "compare.json").read_text()) == content
    table = (folder / "compare.md").read_text()
    assert "| 1 | " in table
    assert "pixel_1nn" in table
    assert (folder / "curves.png").stat().st_size > 1000


def test_comparison_that_is_over_does_nothing_again(
    images: Path, comparison: tuple[Path, dict[str, Any]]
) -> None:
    runs, content = comparison
    lines: list[str] = []

    again = compare(toy_space(images), OPTIONS, name="losses", runs=runs, say=lines.append)

    assert again == content
    assert [line for line in lines if "0 of 2 to train" in line] == [
        "1 finalist, 2 seeds each: 0 of 2 to train"
    ] * 2


def test_another_budget_under_the_same_name_is_refused(
    images: Path, comparison: tuple[Path, dict[str, Any]]
) -> None:
    runs, _ = comparison
    more = CompareOptions(search=toy_options(3, scheduler="none"), seeds=2, episodes=200)

    with pytest.raises(StudyError, match="with another trials: families must have the same"):
        compare(toy_space(images), more, name="losses", runs=runs)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="budget must be > 0 device-seconds, got 0"):
        CompareOptions(device_s=0.0)
