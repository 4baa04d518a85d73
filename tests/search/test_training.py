"""Training without a search: kept as a study, changed from the command line, and replayed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy import recipe

import tripletune
from tripletune.search.cli import main
from tripletune.search.folder import StudyFolder
from tripletune.search.study import Study
from tripletune.spaces import DataConfig, EvaluationConfig, SplitConfig, recipe_to_yaml

Outcome = tuple[int, str, str]


@pytest.fixture
def run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in this process: exit status, standard output, standard error."""

    def run_command(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["tripletune", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


@pytest.fixture
def recipe_file(images: Path, workplace: Path) -> Path:
    data = DataConfig(
        name="folder",
        path=str(images),
        image_size=16,
        split=SplitConfig(by="class", validation=0.5, test=0.0),
    )
    small = EvaluationConfig(way=5, episodes=60, within="any")
    (workplace / "recipe.yaml").write_text(recipe_to_yaml(recipe(data=data, evaluation=small)))
    return workplace / "recipe.yaml"


def test_train_is_kept_as_a_study_that_is_replayed_bit_for_bit(
    run: Any, recipe_file: Path, workplace: Path
) -> None:
    code, text, err = run("train", recipe_file, "--name", "one")
    assert code == 0, err
    assert "best model  runs/one/best" in text
    study = Study.open(StudyFolder(workplace / "runs" / "one"))
    (record,) = study.records()
    assert (record.state, [one.step for one in record.reports]) == ("complete", [4, 8, 12])
    model = tripletune.load("runs/one/best", device="cpu")
    assert (model.check(), model.scores["trial"], model.scores["best_of"]) == (0.0, 0, 1)
    assert model.scores["tested"] is None
    code, text, _ = run("leaderboard", "one", "--json")
    assert len(json.loads(text)["trials"]) == 1

    code, text, err = run("replay", "runs/one/best", "--json")
    assert code == 0, err
    outcome = json.loads(text)
    assert outcome["is_equal"]
    assert outcome["is_inside"]
    assert outcome["steps"] == 12
    assert "the same curve, bit for bit" in err
    code, _, err = run("train", recipe_file, "--name", "one")
    assert (code, "study one exists" in err) == (1, True)


def test_a_value_is_changed_from_the_command_line(
    run: Any, recipe_file: Path, workplace: Path
) -> None:
    code, _, err = run(
        *("train", recipe_file, "--name", "two", "--to", "out"),
        *("--set", "objective.loss.temperature=0.3", "--set", "budget.steps=4"),
    )
    assert code == 0, err
    for folder in ("runs/two/best", "out"):
        model = tripletune.load(folder)
        assert model.recipe.to_dict()["objective"]["loss"]["temperature"] == 0.3
        assert model.scores["steps"] == 4
    code, _, err = run("train", recipe_file, "--set", "objective.loss.temprature=0.3")
    assert (code, "temprature" in err) == (2, True)
    assert not list((workplace / "runs").glob("train-*"))


def test_replay_on_other_data_is_refused(
    run: Any, recipe_file: Path, images: Path, workplace: Path
) -> None:
    assert run("train", recipe_file, "--name", "one", "--set", "budget.steps=4")[0] == 0
    other = shutil.copytree(images, workplace / "images")
    assert run("replay", "runs/one/best", "--data", other)[0] == 0
    next(other.glob("*/*.png")).unlink()
    code, _, err = run("replay", "runs/one/best", "--data", other)
    assert (code, "a replay needs the same data" in err) == (2, True)


def test_a_score_outside_the_interval_is_status_1(
    run: Any, recipe_file: Path, workplace: Path
) -> None:
    assert run("train", recipe_file, "--name", "one", "--set", "budget.steps=4")[0] == 0
    path = workplace / "runs" / "one" / "best" / "scores.json"
    scores = json.loads(path.read_text())
    scores["selection"] |= {"one_shot_accuracy": 0.999, "interval": [0.998, 1.0]}
    path.write_text(json.dumps(scores))
    code, text, _ = run("replay", "runs/one/best")
    assert (code, "outside the interval" in text) == (1, True)
