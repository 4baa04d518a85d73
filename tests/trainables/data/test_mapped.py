"""Sets that are mapped from files instead of held in memory."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tripletune.spaces import DataConfig, SplitConfig
from tripletune.trainables.data import ArrayFile, ImageSet, load_trial_data, receive_side
from tripletune.trainables.data.array_file import create_array, cut_array, open_array
from tripletune.trainables.data.storage import available_bytes, is_mapped

MakeTree = Callable[..., Path]
CLASSES = [f"{group}/{name}" for group in "abcdef" for name in "xyz"]


@pytest.fixture
def config(make_tree: MakeTree) -> DataConfig:
    """A small tree, mapped."""
    tree = make_tree(CLASSES)
    return DataConfig(name="folder", path=str(tree), image_size=16, storage="mapped")


def in_memory(config: DataConfig) -> DataConfig:
    return config.model_copy(update={"storage": "memory"})


def test_what_takes_more_than_a_quarter_of_the_free_memory_is_mapped() -> None:
    assert not is_mapped("auto", 250, available=1000)
    assert is_mapped("auto", 251, available=1000)
    assert is_mapped("mapped", 1, available=1000)
    assert not is_mapped("memory", 10**6, available=1000)
    assert 2**20 < available_bytes() < 2**50


def test_a_mapped_set_holds_what_one_in_memory_holds(config: DataConfig, tmp_path: Path) -> None:
    mapped = load_trial_data(config, tmp_path / "cache")
    memory = load_trial_data(in_memory(config), tmp_path / "cache")
    assert (mapped.fingerprint, mapped.split_digest) == (memory.fingerprint, memory.split_digest)
    for one, other in ((mapped.train, memory.train), (mapped.validation, memory.validation)):
        assert isinstance(one.images, np.memmap)
        assert not isinstance(other.images, np.memmap)
        assert not one.images.flags.writeable
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels, other.labels)
        assert (one.classes, one.groups) == (other.classes, other.groups)
        assert np.array_equal(one.group_of_class, other.group_of_class)
    assert any("mapped from files" in note for note in mapped.notes)


def test_the_files_of_a_trial_hold_no_test_images(config: DataConfig, tmp_path: Path) -> None:
    data = load_trial_data(config, tmp_path / "cache")
    for side in (data.train, data.validation):
        file = ArrayFile.of(side.images)
        assert file is not None
        assert Path(file.path).stat().st_size < side.images.nbytes + 4096
    assert len(data.train) + len(data.validation) < len(CLASSES) * 3


def test_mapped_files_are_written_once_a_split(config: DataConfig, tmp_path: Path) -> None:
    first = load_trial_data(config, tmp_path / "cache")
    second = load_trial_data(config, tmp_path / "cache")
    assert ArrayFile.of(first.train.images) == ArrayFile.of(second.train.images)
    other = config.model_copy(update={"split": SplitConfig(seed=1)})
    third = load_trial_data(other, tmp_path / "cache")
    assert ArrayFile.of(third.train.images) != ArrayFile.of(first.train.images)
    assert np.array_equal(
        third.train.images, load_trial_data(in_memory(other), tmp_path / "cache").train.images
    )


def test_a_changed_folder_is_noticed(config: DataConfig, tmp_path: Path) -> None:
    first = load_trial_data(config, tmp_path / "cache")
    folder = Path(config.path or "")
    shutil.copy(folder / "a" / "x" / "0.png", folder / "a" / "x" / "1.png")
    assert load_trial_data(config, tmp_path / "cache").fingerprint != first.fingerprint


def test_a_mapped_set_is_pickled_by_its_path(config: DataConfig, tmp_path: Path) -> None:
    data = load_trial_data(config, tmp_path / "cache")
    text = pickle.dumps(data.train)
    assert data.train.images[:2].tobytes() not in text
    again = pickle.loads(text)
    assert isinstance(again.images, np.memmap)
    assert np.array_equal(again.images, data.train.images)
    part = ImageSet(
        data.train.images[:3], np.arange(3), ("a", "b", "c"), ("g",), np.zeros(3, np.int64)
    )
    assert np.array_equal(pickle.loads(pickle.dumps(part)).images, data.train.images[:3])


def test_a_mapped_file_that_is_gone_or_changed_is_named(
    config: DataConfig, tmp_path: Path
) -> None:
    data = load_trial_data(config, tmp_path / "cache")
    text = pickle.dumps(data.train)
    file = ArrayFile.of(data.train.images)
    assert file is not None
    assert file.is_here()
    Path(file.path).write_bytes(b"other")
    assert not file.is_here()
    with pytest.raises(FileNotFoundError, match=r"mapped from .*train.npy must be as they were"):
        pickle.loads(text)


def test_a_set_that_cannot_be_mapped_stays_in_memory_with_a_note(
    config: DataConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    data = load_trial_data(config, tmp_path / "file" / "cache")
    assert any(note.startswith("kept in memory, since the images cannot") for note in data.notes)
    assert not isinstance(data.train.images, np.memmap)


def test_received_images_are_kept_once(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 4, 4)).astype(np.uint8)
    chunks = iter([images[:3], images[3:6], images[6:]])
    kept = receive_side("name", tmp_path / "cache", images.shape, chunks)
    assert isinstance(kept, np.memmap)
    assert np.array_equal(kept, images)
    again = receive_side("name", tmp_path / "cache", images.shape, iter([]))
    assert np.array_equal(again, images)


def test_a_file_that_is_cut_keeps_its_first_images(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    images = create_array(path, (1200, 1, 4, 4))
    images[:] = np.arange(1200)[:, None, None, None] % 251
    cut_array(path, (9, 1, 4, 4))
    assert np.array_equal(open_array(path), images[:9])
    assert path.stat().st_size < 9 * 16 + 200
