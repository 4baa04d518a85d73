"""The test split: opened by one command, counted every time, and only for the data it is of."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import tripletune
from lake import write_runs
from toy import recipe
from toy_search import write_images

from tripletune.search.folder import StudyFolder, write_yaml
from tripletune.search.ledger import Ledger
from tripletune.search.opening import score_on_test_side, summary
from tripletune.search.train import train_recipe
from tripletune.spaces import BatchConfig, BudgetConfig, DataConfig, EvaluationConfig, SplitConfig
from tripletune.trainables import load, load_trial_data
from tripletune.trainables.data import DataError
from tripletune.trainables.held_out import open_test_side

KEYS = [
    "one_shot_accuracy",
    "interval",
    "protocol",
    "split_hash",
    "episodes_hash",
    "times_tested",
]


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose 16 classes were divided into 8, 4 and 4."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    split = SplitConfig(by="class", validation=0.25, test=0.25)
    data = DataConfig(name="folder", path=str(images), image_size=16, split=split)
    small = {
        "data": data,
        "batch": BatchConfig(classes=6, samples=3, draw="any"),
        "budget": BudgetConfig(steps=4, report_every=4),
        "evaluation": EvaluationConfig(way=4, episodes=50, within="any"),
    }
    train_recipe(recipe(**small), lambda line: None, folder)
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy that was never tested."""
    return shutil.copytree(trained, tmp_path / "model")


def test_the_test_side_holds_the_classes_that_no_trial_was_given(model: Path) -> None:
    embedder = load(model)
    seen = load_trial_data(embedder.recipe.data)

    test = open_test_side(embedder.recipe.data, dict(embedder.scores))

    assert test.num_classes == 4
    assert not {*test.classes} & {*seen.train.classes, *seen.validation.classes}
    both = np.concatenate([seen.train.images, seen.validation.images])
    known = {image.tobytes() for image in both}
    assert not [image for image in test.images if image.tobytes() in known]


def test_json_has_the_promised_keys_and_counts_every_look(model: Path, workplace: Path) -> None:
    outcomes = [
        tripletune("test", model, "--episodes", "200", "--json", cwd=workplace) for _ in range(2)
    ]

    for outcome in outcomes:
        assert outcome.returncode == 0, outcome.stderr
    first, second = (json.loads(outcome.stdout) for outcome in outcomes)
    assert list(first) == KEYS
    low, high = first["interval"]
    assert 0 <= low <= first["one_shot_accuracy"] <= high <= 1
    assert first["protocol"] == "4-way 1-shot, 200 episodes over all classes, 4 test classes"
    assert first["split_hash"] == load(model).scores["split_hash"]
    assert first["episodes_hash"] != load(model).scores["episodes_hash"]
    assert (first["times_tested"], second["times_tested"]) == (1, 2)
    assert second == first | {"times_tested": 2}


def test_a_look_is_written_to_the_ledger_with_all_that_it_depends_on(model: Path) -> None:
    opening = score_on_test_side(model, episodes=100)

    (entry,) = Ledger(model / "ledger.jsonl").entries()
    assert entry["kind"] == "test"
    assert entry["one_shot_accuracy"] == opening.one_shot_accuracy
    assert entry["interval"] == list(opening.interval or ())
    assert entry["split_hash"] == opening.split_hash
    assert entry["episodes_hash"] == opening.episodes_hash
    assert entry["times_tested"] == opening.times_tested == 1
    assert {"torch", "numpy", "tripletune"} <= entry["versions"].keys()
    assert "opened once for this model" in "\n".join(summary(opening))


def of_study(model: Path, runs: Path, split: str | None = None) -> Ledger:
    """The ledger of a study that the model now says it came from."""
    scores = json.loads((model / "scores.json").read_text())
    (model / "scores.json").write_text(json.dumps(scores | {"study": "toy", "trial": 3}))
    folder = StudyFolder(runs / "toy")
    folder.path.mkdir(parents=True)
    write_yaml(folder.settings, {"data": {"key": {"split": split or scores["split_hash"]}}})
    return Ledger(folder.path / "ledger.jsonl")


def test_a_study_counts_the_looks_of_all_its_models(model: Path, tmp_path: Path) -> None:
    ledger = of_study(model, tmp_path / "runs")
    other = shutil.copytree(model, tmp_path / "runs" / "toy" / "best")

    times = [
        score_on_test_side(export, episodes=50, studies=tmp_path / "runs").times_tested
        for export in (model, other, model)
    ]

    assert times == [1, 2, 3]
    assert [entry["times_tested"] for entry in ledger.entries("test")] == [1, 2, 3]
    assert len(Ledger(model / "ledger.jsonl").entries()) == 2
    assert ledger.entries()[0]["trial"] == 3


def test_more_than_one_look_is_warned_of(model: Path, tmp_path: Path) -> None:
    ledger = of_study(model, tmp_path / "runs")
    for _ in range(2):
        opening = score_on_test_side(model, episodes=50, studies=tmp_path / "runs")

    text = "\n".join(summary(opening))

    assert "opened 2 times for study toy" in text
    assert "too high" in text
    assert str(ledger.path) in text


def test_a_study_of_another_split_is_not_that_of_the_model(model: Path, tmp_path: Path) -> None:
    ledger = of_study(model, tmp_path / "runs", split="another")

    score_on_test_side(model, episodes=50, studies=tmp_path / "runs")

    assert ledger.entries() == []


def changed(model: Path, key: str, value: Any) -> DataConfig:
    data = load(model).recipe.data
    return data.model_copy(update={key: value})


def test_other_data_are_refused_and_not_counted(model: Path, tmp_path: Path) -> None:
    others = write_images(tmp_path / "others", noise=20.0)

    with pytest.raises(DataError, match="whose data_fingerprint is"):
        score_on_test_side(model, data=changed(model, "path", str(others)))

    assert Ledger(model / "ledger.jsonl").entries() == []


def test_another_split_is_refused(model: Path) -> None:
    split = SplitConfig(by="class", validation=0.25, test=0.25, seed=1)

    with pytest.raises(DataError, match=r"whose split_hash is .* may have been trained on"):
        score_on_test_side(model, data=changed(model, "split", split))


def test_a_split_without_a_test_side_says_so(model: Path) -> None:
    split = SplitConfig(by="class", validation=0.25, test=0.0)

    with pytest.raises(DataError, match="must be > 0 for a test"):
        score_on_test_side(model, data=changed(model, "split", split))


def test_runs_are_scored_and_counted_as_a_look_at_test_data(model: Path, workplace: Path) -> None:
    random = np.random.default_rng(0)
    drawings = random.integers(0, 256, (3, 4, 16, 16)).astype(np.uint8)
    runs = write_runs(workplace / "runs", [(run, run) for run in drawings])

    outcome = tripletune("test", model, "--runs", runs, "--json", cwd=workplace)

    assert outcome.returncode == 0, outcome.stderr
    content = json.loads(outcome.stdout)
    assert list(content) == KEYS
    # Each item is the very image of its class, and nothing is nearer than nothing.
    assert content["one_shot_accuracy"] == 1.0
    assert content["interval"] == [1.0, 1.0]
    assert content["protocol"] == "4-way 1-shot, 3 fixed runs"
    assert content["times_tested"] == 1
    (entry,) = Ledger(model / "ledger.jsonl").entries("test")
    assert (entry["target"], entry["interval_over"]) == ("runs", "runs")
    assert len(entry["runs"]) == 3


def test_wrong_use_is_refused(model: Path, workplace: Path) -> None:
    for arguments, message in (
        (("nowhere",), "must be an export of tripletune, got nowhere"),
        ((model, "--episodes", "1"), "episodes must be >= 2, got 1"),
        ((model, "--runs", "nowhere"), "--runs must be a folder or a zip, got nowhere"),
    ):
        outcome = tripletune("test", *arguments, cwd=workplace)
        assert outcome.returncode == 2, outcome.stderr
        assert message in outcome.stderr
        assert "Traceback" not in outcome.stderr
