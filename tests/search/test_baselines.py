"""The baselines that a search trains beside its trials."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from rich.console import Console
from toy_search import toy_options, toy_space

from tripletune.search import baselines
from tripletune.search.folder import StudyFolder
from tripletune.search.live import LiveTable
from tripletune.search.runner import resume, run_search
from tripletune.search.study import Study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module", autouse=True)
def _workers_know_this_module() -> Iterator[None]:
    """Ray's workers cannot import a test; its functions travel by value."""
    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    yield
    ray.cloudpickle.unregister_pickle_by_value(module)


def test_a_search_trains_them_once_and_shows_them_on_its_leaderboard(
    images: Path, tmp_path: Path
) -> None:
    space = toy_space(images, budget__steps=6)
    options = toy_options(1, baselines=True)
    study = run_search(space, options, name="toy", runs=tmp_path)
    scores = study.leaderboard().to_json()["baselines"]
    assert set(scores) == {"pixel_1nn", "untrained", "cross_entropy"}
    for score in scores.values():
        low, high = score["interval"]
        assert low <= score["one_shot_accuracy"] <= high
    assert scores["cross_entropy"]["steps"] == 6
    # They stand in the study's folder, and a resume does not train them again.
    kept = Study.open(StudyFolder(tmp_path / "toy")).settings.baselines
    assert kept == scores
    again = resume(study, toy_options(1, baselines=True))
    assert again.settings.baselines == scores


def test_a_search_whose_baselines_cannot_be_trained_says_why_and_ends_well(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError("no classifier today")

    monkeypatch.setattr(baselines, "_train", broken)
    stream = io.StringIO()
    study = run_search(
        toy_space(images, budget__steps=6),
        toy_options(1, baselines=True),
        name="toy",
        runs=tmp_path,
        live=LiveTable(Console(file=stream, width=120)),
    )
    assert [record.state for record in study.records()] == ["complete"]
    assert set(study.settings.baselines) == {"pixel_1nn"}
    assert "the baselines were not trained: ValueError: no classifier today" in stream.getvalue()
