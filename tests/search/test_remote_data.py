"""Data at an address, and data packed to be sent there."""

import shutil
from pathlib import Path

import pytest

from tripletune.search.remote_data import localized, pack
from tripletune.spaces import DataConfig
from tripletune.trainables import load_trial_data


def config(path: str) -> DataConfig:
    return DataConfig(name="folder", path=path, image_size=16)


def test_same_images_give_the_same_pack_wherever_they_lie(images: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    (copy / ".DS_Store").write_text("of a desktop")

    first, second = pack(images), pack(copy)

    assert first.digest == second.digest
    assert first.num_bytes == second.num_bytes
    assert pack(first.file).digest == first.digest


def test_changed_image_changes_the_pack(images: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    before = pack(copy).digest
    image = sorted(copy.rglob("*.png"))[0]
    image.write_bytes(image.read_bytes() + b"\0")

    assert pack(copy).digest != before


def test_packed_data_at_an_address_are_those_of_the_folder(images: Path, tmp_path: Path) -> None:
    packed = pack(images)
    kept = tmp_path / f"{packed.digest}.zip"
    shutil.copyfile(packed.file, kept)

    here = localized(config(f"file://{kept}"))

    assert here.path is not None
    assert Path(here.path).is_file()
    there = load_trial_data(config(str(images)))
    assert load_trial_data(here).fingerprint == there.fingerprint


def test_data_are_brought_once(images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "images.zip"
    shutil.copyfile(pack(images).file, kept)

    first = localized(config(f"file://{kept}"))
    assert first.path is not None
    written = Path(first.path).stat().st_mtime_ns
    second = localized(config(f"file://{kept}"))

    assert second == first
    assert Path(first.path).stat().st_mtime_ns == written


def test_absent_data_at_an_address_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"got file://.*/none.zip: there is none"):
        localized(config(f"file://{tmp_path}/none.zip"))


def test_path_on_this_machine_stays(images: Path) -> None:
    assert localized(config(str(images))) == config(str(images))


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--data must hold images"):
        pack(tmp_path)
