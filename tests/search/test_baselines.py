"""What a search gives besides its trials: baselines, and models of fewer dimensions."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from toy_search import toy_options, toy_space

import tripletune
from tripletune.search import baselines
from tripletune.search.cli import main
from tripletune.search.export import ExportOptions, export_best, export_trial
from tripletune.search.live import LiveTable
from tripletune.search.runner import resume, run_search
from tripletune.search.study import Study
from tripletune.trainables import load_trial_data, prepare
from tripletune.trainables.episodes import score_episodes

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_session", "travels_by_value"),
]


@pytest.fixture(scope="module")
def study(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A search of one trial of 16 dimensions, with its baselines."""
    space = toy_space(images, budget__steps=6, encoder__embedding_dim=16)
    runs = tmp_path_factory.mktemp("runs")
    return run_search(space, toy_options(1, baselines=True), name="toy", runs=runs)


def test_a_search_trains_them_once_and_shows_them_on_its_leaderboard(study: Study) -> None:
    scores = study.leaderboard().to_json()["baselines"]
    assert set(scores) == {"pixel_1nn", "untrained", "cross_entropy"}
    for score in scores.values():
        low, high = score["interval"]
        assert low <= score["one_shot_accuracy"] <= high
    assert scores["cross_entropy"]["steps"] == 6
    # They stand in the study's folder, and a resume does not train them again.
    kept = Study.open(study.folder)
    assert kept.settings.baselines == scores
    again = resume(kept, toy_options(1, baselines=True))
    assert again.settings.baselines == scores


def test_a_trial_is_exported_with_its_leading_dimensions_as_they_were_scored(
    study: Study, tmp_path: Path
) -> None:
    (record,) = study.leaderboard(max_dim=10).rows
    assert record.record.embedding_dim == 8
    best = export_best(study, tmp_path / "small", ExportOptions(max_dim=10))
    assert best is not None
    model = tripletune.load(tmp_path / "small")
    data = load_trial_data(best.recipe.data)
    embeddings = torch.from_numpy(model.network.embed(data.validation.images))
    assert embeddings.shape[1] == 8
    prepared = prepare(data, best.recipe.evaluation, torch.device("cpu"))
    score = score_episodes(embeddings, prepared.episodes).mean()
    (own,) = study.records()
    assert own.last_report is not None
    assert score == pytest.approx(own.last_report.sizes["8"][0], abs=0.02)
    assert model.scores["selection"]["one_shot_accuracy"] == own.last_report.sizes["8"][0]
    export_trial(study, own, tmp_path / "again", ExportOptions(max_dim=8))
    assert tripletune.load(tmp_path / "again").network.projection is not None


def test_the_best_is_measured_in_every_way_from_the_command_line(
    study: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*arguments: str) -> str:
        monkeypatch.setattr(
            "sys.argv", ["tripletune", "evaluate", str(study.folder.best), *arguments]
        )
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    found = json.loads(printed("--json"))
    own = found["protocols"]["5-way 1-shot over all classes"]
    best = study.leaderboard().best
    assert best is not None
    assert best.last_report is not None
    assert own["one_shot_accuracy"] == pytest.approx(best.last_report.one_shot_accuracy, abs=0.02)
    assert own["episodes_hash"] == study.settings.episodes
    assert set(found) == {"protocols", "retrieval", "open_world", "per_class", "worst_pairs"}
    fresh = json.loads(printed("--json", "--fresh"))
    assert (
        fresh["protocols"]["5-way 1-shot over all classes"]["episodes_hash"]
        != (own["episodes_hash"])
    )
    lines = printed().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  5-way 1-shot over all classes") for line in lines)
    assert any(line.startswith("  map at r") for line in lines)
    assert "open world, 1-shot, 12 classes in the gallery, interval over classes" in lines


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
