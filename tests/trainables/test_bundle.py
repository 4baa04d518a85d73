"""The export: what `load` gives back, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy import recipe, trial_data

from tripletune.spaces import OptimizerConfig
from tripletune.trainables import PreparedData, Trial, export_checkpoint, load, prepare
from tripletune.trainables.embedding import embed

SCORES = {"selection": {"one_shot_accuracy": 0.5, "interval": [0.4, 0.6]}}


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, torch.device("cpu"))


@pytest.fixture
def trial(prepared: PreparedData) -> Trial:
    trial = Trial(recipe(), prepared)
    trial.train(3)
    return trial


@pytest.fixture
def folder(trial: Trial, tmp_path: Path) -> Path:
    trial.save(tmp_path / "trial.pt")
    preprocessing = trial_data().preprocessing
    export_checkpoint(
        tmp_path / "trial.pt", trial.recipe, preprocessing, SCORES, tmp_path / "model"
    )
    return tmp_path / "model"


def test_a_loaded_model_embeds_image_files_as_the_trial_did(
    trial: Trial, prepared: PreparedData, folder: Path, tmp_path: Path
) -> None:
    pixels = prepared.data.validation.images[:3]
    for index, image in enumerate(pixels):
        Image.fromarray(image[0]).save(tmp_path / f"{index}.png")
    expected = embed(trial.encoder, prepared.validation_images[:3], unit_norm=True)
    model = load(folder, device="cpu")
    actual = model.embed([tmp_path / f"{index}.png" for index in range(3)])
    np.testing.assert_array_equal(actual, expected.numpy())
    assert actual.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1.0, rtol=1e-5)


def test_the_recipe_comes_back_whole(trial: Trial, folder: Path) -> None:
    model = load(folder)
    assert model.recipe == trial.recipe
    assert model.recipe.digest == trial.recipe.digest
    assert SCORES.items() <= model.scores.items()
    assert model.scores["recipe"] == model.recipe.digest


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_weights_that_were_evaluated_are_the_ones_exported(
    decay: float, prepared: PreparedData, tmp_path: Path
) -> None:
    trial = Trial(recipe(optimizer=OptimizerConfig(average_decay=decay)), prepared)
    trial.train(3)
    trial.save(tmp_path / "trial.pt")
    preprocessing = trial_data().preprocessing
    export_checkpoint(tmp_path / "trial.pt", trial.recipe, preprocessing, SCORES, tmp_path)
    loaded = load(tmp_path, device="cpu").encoder.state_dict()
    for name, value in trial.encoder.state_dict().items():
        assert torch.equal(value, loaded[name]), name


def test_nothing_in_the_folder_is_pickled(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "recipe.yaml",
        "model.safetensors",
        "preprocess.json",
        "scores.json",
    }
    for path in folder.iterdir():
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")


@pytest.mark.parametrize(
    "name", ["recipe.yaml", "model.safetensors", "preprocess.json", "scores.json"]
)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocess.json", "scores.json"])
def test_a_damaged_file_is_refused(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="must be an undamaged export"):
        load(folder)


def test_files_of_two_exports_are_refused(folder: Path) -> None:
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("shear: 0.2", "shear: 0.3"))
    with pytest.raises(ValueError, match=r"recipe\.yaml is not the one that scores\.json"):
        load(folder)


def test_what_is_no_image_is_refused(folder: Path, tmp_path: Path) -> None:
    model = load(folder)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"images must be readable image files, got .*text.png"):
        model.embed([tmp_path / "text.png"])
    with pytest.raises(ValueError, match="at least one image, got none"):
        model.embed([])
    with pytest.raises(FileNotFoundError):
        model.embed([tmp_path / "absent.png"])


def test_scores_are_plain_json(folder: Path) -> None:
    assert SCORES.items() <= json.loads((folder / "scores.json").read_text()).items()
