"""Files that are there whole, or not at all."""

from pathlib import Path

import pytest

from tripletune.trainables.whole_file import whole_file


def test_file_takes_its_place_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(b"old")

    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_writer_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(b"old")

    with pytest.raises(OSError, match="the disk is full"):
        _write_and_fail(path)

    assert path.read_bytes() == b"old"
    with whole_file(path) as file:  # and nothing of it stays in the way
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def _write_and_fail(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"ne")
        raise OSError("the disk is full")
