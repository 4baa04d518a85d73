"""The export: what `load` gives back, and what it refuses."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy import trial_data
from toy_export import SCORES, trained, write_export

from tripletune.spaces import OptimizerConfig
from tripletune.trainables import Trial, load
from tripletune.trainables.embedder import NEEDED
from tripletune.trainables.embedding import embed


@pytest.fixture
def trial() -> Trial:
    return trained()


@pytest.fixture
def folder(trial: Trial, tmp_path: Path) -> Path:
    return write_export(trial, tmp_path / "model")


def test_a_loaded_model_embeds_image_files_as_the_trial_did(
    trial: Trial, folder: Path, tmp_path: Path
) -> None:
    pixels = trial_data().validation.images[:3]
    for index, image in enumerate(pixels):
        Image.fromarray(image[0]).save(tmp_path / f"{index}.png")
    expected = embed(trial.encoder, torch.from_numpy(pixels), unit_norm=True)
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
    decay: float, tmp_path: Path
) -> None:
    trial = trained(optimizer=OptimizerConfig(average_decay=decay))
    loaded = load(write_export(trial, tmp_path / "m"), device="cpu").encoder.state_dict()
    for name, value in trial.encoder.state_dict().items():
        assert torch.equal(value, loaded[name]), name


def test_the_recorded_embeddings_of_the_probes_are_met_bit_for_bit(folder: Path) -> None:
    model = load(folder, device="cpu")
    assert model.check() == 0.0
    assert model.probe_embeddings.shape == (8, 16)
    changed = load(folder, device="cpu")
    with torch.no_grad():
        next(changed.encoder.parameters()).mul_(1.01)
    assert changed.check() > 1e-4


def test_an_export_replaces_an_earlier_one_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    write_export(trained(steps=4), folder)
    assert {path.name for path in folder.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"which holds notes\.txt: choose another one"):
        write_export(trained(), folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert load(folder).check() < 1e-5


def test_an_export_that_fails_leaves_the_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_export(trained(steps=4), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_writer_killed_between_two_renames_is_made_up_for(folder: Path) -> None:
    folder.rename(folder.with_name(".model.replaced"))
    (folder / "notes.txt").parent.mkdir()
    (folder / "notes.txt").write_text("no export")
    with pytest.raises(ValueError, match="choose another one"):
        write_export(trained(), folder)
    (folder / "notes.txt").unlink()
    folder.rmdir()
    write_export(trained(), folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_nothing_in_the_folder_is_pickled(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(NEEDED)
    for path in folder.iterdir():
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
        load(folder)


@pytest.mark.parametrize("name", NEEDED)
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
