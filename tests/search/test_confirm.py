"""Finalists trained again: fresh seeds, fresh episodes, nothing twice, all of it written down."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Running, tripletune
from toy_search import toy_options, toy_space

from tripletune.search import confirm_worker
from tripletune.search.confirm import ConfirmOptions, confirm
from tripletune.search.confirmation import ConfirmFolder, confirmed
from tripletune.search.finalists import family_of, finalists
from tripletune.search.folder import StudyError
from tripletune.search.ledger import Ledger
from tripletune.search.runner import run_search
from tripletune.search.study import Study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("travels_by_value")]

SMALL = ConfirmOptions(top=2, seeds=2, episodes=300, concurrency=2)


@pytest.fixture(scope="module")
def study(images: Path, ray_session: object, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A search of five complete trials, of which two were confirmed over two seeds."""
    runs = tmp_path_factory.mktemp("runs")
    searched = run_search(
        toy_space(images), toy_options(5, scheduler="none"), name="toy", runs=runs
    )
    lines: list[str] = []
    confirm(searched, SMALL, lines.append)
    assert len([line for line in lines if ", seed " in line]) == 4
    return searched


def folder_of(study: Study) -> ConfirmFolder:
    return ConfirmFolder(study.folder.confirm)


def test_finalists_are_trained_from_fresh_seeds_and_scored_on_fresh_episodes(study: Study) -> None:
    runs = folder_of(study).runs()
    chosen = finalists(study.leaderboard(), 2)

    assert {run.trial for run in runs} <= {row.record.number for row in study.leaderboard().rows}
    assert sorted((run.trial, run.seed) for run in runs) == sorted(
        (row.trial, seed) for row in study.leaderboard().confirmed for seed in (1, 2)
    )
    assert len(chosen) == 2
    assert {record.recipe.seed for record in study.records()} == {0}
    for run in runs:
        assert run.failure is None
        assert run.episodes != study.settings.episodes
        scores = folder_of(study).scores(run)
        assert scores.shape == (300,)
        assert scores.mean() == pytest.approx(run.one_shot_accuracy, abs=1e-6)
    same_trial = [run.one_shot_accuracy for run in runs if run.trial == runs[0].trial]
    assert same_trial[0] != same_trial[1]
    assert not list(folder_of(study).path.glob("*.pt"))


def test_leaderboard_shows_selection_and_confirmed_scores_with_their_intervals(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    content = study.leaderboard().to_json()

    assert content["confirmed"][0]["rank"] == 1
    for row in content["confirmed"]:
        trial = next(t for t in content["trials"] if t["trial"] == row["trial"])
        assert row["selection"] == trial["one_shot_accuracy"]
        assert row["selection_interval"] == trial["interval"]
        low, high = row["interval_over_both"]
        assert low <= row["interval_over_seeds"][0] <= row["interval_over_seeds"][1] <= high
        assert low <= row["interval_over_episodes"][0] <= row["one_shot_accuracy"] <= high
        assert (row["seeds"], row["failed"], row["episodes"]) == (2, 0, 300)
    outcome = tripletune("leaderboard", study.folder.path, cwd=study.folder.path, COLUMNS="80")
    assert "confirmed on 300 fresh episodes" in outcome.stdout
    assert "±both" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_best_is_the_best_of_the_confirmed(study: Study) -> None:
    best = study.leaderboard().best

    assert best is not None
    assert best.number == confirmed(folder_of(study))[0].trial


def test_ledger_has_a_line_for_every_finalist_and_none_twice(study: Study) -> None:
    ledger = Ledger(study.folder.path / "ledger.jsonl")
    before = ledger.entries("confirm")
    assert len(before) == 2
    for entry in before:
        assert entry["seeds"] == [1, 2]
        assert entry["selection"] == study.record(entry["trial"]).reports[-1].one_shot_accuracy
        assert len(entry["interval_over_both"]) == 2

    chosen = [row.trial for row in study.leaderboard().confirmed]
    lines: list[str] = []
    confirm(study, SMALL, lines.append)

    assert lines == ["2 finalists, 2 seeds each: 0 of 4 to train"]
    assert ledger.entries("confirm") == before
    assert [row.trial for row in study.leaderboard().confirmed] == chosen


def test_another_number_of_episodes_is_refused(study: Study) -> None:
    with pytest.raises(StudyError, match="--episodes must be 300"):
        confirm(study, ConfirmOptions(top=1, seeds=1, episodes=50))


def test_best_of_every_family_is_a_finalist(study: Study) -> None:
    families = {family_of(record, "loss") for record in study.records()}

    chosen = finalists(study.leaderboard(), 0, "loss")

    assert {family_of(record, "loss") for record in chosen} == families
    assert len(chosen) == len(families)


def test_confirmation_that_is_killed_goes_on(
    study: Study, tmp_path_factory: pytest.TempPathFactory
) -> None:
    arguments = ("confirm", study.folder.path, "--top", "2", "--seeds", "3", "--episodes", "300")
    before = {(run.trial, run.seed) for run in folder_of(study).runs()}
    place = tmp_path_factory.mktemp("place")
    running = Running(*arguments, "--concurrency", "1", cwd=place)
    running.wait_for(lambda line: line.startswith("1 of 2: "))
    running.kill()
    half = {(run.trial, run.seed) for run in folder_of(study).runs()}
    assert len(half) == len(before) + 1

    outcome = tripletune(*arguments, "--json", cwd=place)

    assert outcome.returncode == 0, outcome.stderr
    assert "3 seeds each: 1 of 6 to train" in outcome.stderr
    rows = json.loads(outcome.stdout)["confirmed"]
    assert [row["seeds"] for row in rows] == [3, 3]


def test_run_that_fails_is_written_down_and_the_others_go_on(
    images: Path, ray_session: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run_search(
        toy_space(images), toy_options(1, scheduler="none"), name="one", runs=tmp_path
    )
    monkeypatch.setattr(confirm_worker, "ConfirmWorker", _failing())

    confirm(study, SMALL)

    (row,) = study.leaderboard().confirmed
    assert (row.num_seeds, row.num_failed) == (1, 1)
    assert row.to_json()["interval_over_seeds"] is None
    failed = next(run for run in ConfirmFolder(study.folder.confirm).runs() if run.seed == 2)
    assert failed.failure is not None
    assert failed.one_shot_accuracy is None


def _failing() -> type:
    class Failing(confirm_worker.ConfirmWorker):
        def run(self, recipe: dict[str, Any], checkpoint: str) -> dict[str, Any]:
            if recipe["seed"] == 2:
                return {"failure": "FloatingPointError: the loss is nan at step 4"}
            return super().run(recipe, checkpoint)

    return Failing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top must be >= 1 without --per"),
        ({"seeds": 0}, "seeds must be >= 1, got 0"),
        ({"episodes": 1}, "episodes must be >= 2, got 1"),
    ],
)
def test_options_that_confirm_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConfirmOptions(**options)
