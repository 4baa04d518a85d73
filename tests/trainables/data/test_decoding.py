"""Decoding once, whatever happens meanwhile: many threads, many processes, kill -9."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tripletune.spaces import DataConfig
from tripletune.trainables.data import DataError, fingerprint, folder, load_trial_data
from tripletune.trainables.data.array_file import create_array
from tripletune.trainables.data.folder import open_folder

MakeTree = Callable[..., Path]
CLASSES = [f"class{index}" for index in range(10)]

CHILD = """
import sys
from pathlib import Path
from tripletune.spaces import DataConfig
from tripletune.trainables.data import folder, load_trial_data

folder._PICTURES_AT_ONCE = 1
calls = []

def progress(done, total):
    calls.append(done)
    if sys.argv[3] == "pause" and len(calls) == 3:
        print("decoding", flush=True)
        sys.stdin.readline()

print("started", flush=True)
config = DataConfig(name="folder", path=sys.argv[1], image_size=16)
data = load_trial_data(config, Path(sys.argv[2]), progress)
print(len(calls), data.fingerprint, flush=True)
"""


@contextmanager
def decoder(tree: Path, cache: Path, mode: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that loads the data; `pause` stops in the middle until it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tree), str(cache), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def config_of(tree: Path) -> DataConfig:
    return DataConfig(name="folder", path=str(tree), image_size=16)


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_a_killed_decode_leaves_no_entry_and_the_next_one_cleans_up(
    make_tree: MakeTree, tmp_path: Path
) -> None:
    tree, cache = make_tree(CLASSES), tmp_path / "cache"
    with decoder(tree, cache, "pause") as process:
        assert next_line(process) == "started"
        assert next_line(process) == "decoding"
        process.kill()
        process.wait()
    (left,) = entries(cache)
    assert "." in left  # the name of an unfinished one
    data = load_trial_data(config_of(tree), cache)
    assert data.notes == load_trial_data(config_of(tree), tmp_path / "other").notes
    assert data.fingerprint == fingerprint(open_folder(config_of(tree)).decode().image_set)
    (entry,) = entries(cache)
    assert entry == left.partition(".")[0]


def test_of_two_processes_one_decodes_and_the_other_waits_and_reads(
    make_tree: MakeTree, tmp_path: Path
) -> None:
    tree, cache = make_tree(CLASSES), tmp_path / "cache"
    with decoder(tree, cache, "pause") as first:
        assert next_line(first) == "started"
        assert next_line(first) == "decoding"
        with decoder(tree, cache, "run") as second:
            assert next_line(second) == "started"
            assert first.stdin is not None
            first.stdin.write("\n")
            first.stdin.flush()
            calls, name = next_line(first).split()
            other_calls, other_name = next_line(second).split()
    assert (calls, other_calls) == (str(len(CLASSES) * 3), "0")
    assert name == other_name


@pytest.mark.parametrize("at_once", [1, 4, 1000])
@pytest.mark.parametrize("num_threads", [1, 7])
def test_the_bytes_do_not_depend_on_the_number_of_threads(
    at_once: int, num_threads: int, make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_folder(config_of(make_tree(CLASSES)))
    expected = source.decode().image_set
    monkeypatch.setattr(folder, "_PICTURES_AT_ONCE", at_once)
    monkeypatch.setattr(folder, "num_processors", lambda: num_threads)
    assert fingerprint(source.decode().image_set) == fingerprint(expected)


def test_progress_counts_to_the_end(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PICTURES_AT_ONCE", 4)
    told: list[tuple[int, int]] = []
    tree = make_tree(CLASSES)
    load_trial_data(config_of(tree), tmp_path, lambda *values: told.append(values))
    assert told == [(done, 30) for done in (*range(4, 30, 4), 30)]
    load_trial_data(config_of(tree), tmp_path, lambda *values: told.append(values))
    assert len(told) == 8  # nothing is decoded again


def test_pictures_that_are_left_out_leave_the_same_set_in_a_file_as_in_memory(
    make_tree: MakeTree, tmp_path: Path
) -> None:
    tree = make_tree(CLASSES, paper=250)  # which is inverted too
    for name in ("class0/1.png", "class4/0.png", "class4/2.png", "class9/2.png"):
        (tree / name).write_bytes(b"torn")
    config = config_of(tree).model_copy(update={"max_corrupt_share": 0.5})
    source = open_folder(config)
    in_memory = source.decode()
    path = tmp_path / "images.npy"
    mapped = source.decode(lambda shape: create_array(path, shape))
    assert mapped.notes == in_memory.notes
    assert [len(note) > 0 for note in mapped.notes] == [True] * 3
    assert fingerprint(mapped.image_set) == fingerprint(in_memory.image_set)
    data = load_trial_data(config, tmp_path / "cache")
    assert data.fingerprint == fingerprint(in_memory.image_set)
    assert load_trial_data(config, tmp_path / "cache").fingerprint == data.fingerprint


def test_a_failure_while_decoding_leaves_nothing_behind(
    make_tree: MakeTree, tmp_path: Path
) -> None:
    tree, cache = make_tree(CLASSES), tmp_path / "cache"
    (tree / "class0" / "0.png").write_bytes(b"torn")
    with pytest.raises(DataError, match="max_corrupt_share"):
        load_trial_data(config_of(tree), cache)
    assert entries(cache) == []


def test_images_in_a_created_file_start_at_zero(tmp_path: Path) -> None:
    images = create_array(tmp_path / "images.npy", (5, 3, 4, 4))
    assert images.shape == (5, 3, 4, 4)
    assert isinstance(images, np.memmap)
    assert not images.any()
