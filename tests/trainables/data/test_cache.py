"""The cache of decoded sets: used when it can be, never in the way."""

import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from tripletune.spaces import DataConfig
from tripletune.trainables.data import DataError, load_trial_data
from tripletune.trainables.data.omniglot import open_omniglot

MakeTree = Callable[..., Path]
CLASSES = [f"class{index}" for index in range(8)]


@pytest.fixture
def config(make_tree: MakeTree) -> DataConfig:
    """A small tree."""
    return DataConfig(name="folder", path=str(make_tree(CLASSES)), image_size=16)


def images_file(cache: Path) -> Path:
    (path,) = cache.glob("*/images.npy")
    return path


def test_second_load_reads_the_cache(config: DataConfig, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_trial_data(config, cache)
    before = images_file(cache).stat().st_mtime_ns
    second = load_trial_data(config, cache)
    assert images_file(cache).stat().st_mtime_ns == before
    assert first.fingerprint == second.fingerprint
    assert first.notes == second.notes


def test_changed_picture_is_decoded_again(config: DataConfig, tmp_path: Path) -> None:
    first = load_trial_data(config, tmp_path / "cache")
    folder = Path(config.path or "")
    shutil.copy(folder / "class1" / "0.png", folder / "class0" / "1.png")
    assert load_trial_data(config, tmp_path / "cache").fingerprint != first.fingerprint


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_damaged_entry_is_rebuilt_with_a_note(
    damage: str, config: DataConfig, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = load_trial_data(config, cache)
    path = images_file(cache)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-100] if damage == "cut" else content)
    second = load_trial_data(config, cache)
    assert any(note.startswith("decoded again: the cached set") for note in second.notes)
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second.train.images, first.train.images)
    assert load_trial_data(config, cache).notes == first.notes


def test_cache_that_cannot_be_made_costs_a_note(config: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = load_trial_data(config, tmp_path / "file" / "cache")
    assert any(note.startswith("not cached") for note in data.notes)
    assert data.train.num_classes == 4


def test_full_disk_costs_a_note_and_leaves_nothing(config: DataConfig, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        data = load_trial_data(config, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert any("cannot write to" in note for note in data.notes)
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_omniglot_without_a_network_names_the_way_out(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise URLError(f"no route for {folder.name}")

    with pytest.raises(DataError, match=r"could not be downloaded.*pass --data PATH"):
        open_omniglot(DataConfig(name="omniglot", path=str(tmp_path)), fail)


def test_omniglot_takes_a_tree_that_is_there(make_tree: MakeTree) -> None:
    tree = make_tree([f"Latin/character{number:02}" for number in range(3)])
    config = DataConfig(name="omniglot", path=str(tree), image_size=16)
    assert open_omniglot(config).decode().image_set.num_classes == 3
