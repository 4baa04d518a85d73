"""The data set `folder`: a tree of pictures, `CLASS/image` or `GROUP/CLASS/image`, or a zip of it.

Folders that wrap the whole tree are looked through, so an archive of `NAME/GROUP/CLASS/image` is
the same set as `GROUP/CLASS/image`. Everything is ordered by name, never by the file system.
"""

import hashlib
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...spaces import DataConfig
from .array_file import Allocate, in_memory, rows_at_once
from .decoded import DecodedSet, Progress, unseen
from .image_set import DataError, ImageSet
from .pictures import EXTENSIONS, decode_picture, strict_pictures
from .preprocessing import Preprocessing, has_bright_border, invert
from .tree import FileEntry, FileTree, list_tree

LEAST_IMAGES = 2
"""Images that a class needs: one to support it and one to ask about."""

SINGLE_GROUP = "all"
"""Name of the group of a tree without groups."""

UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    ValueError,
    struct.error,
)
"""What reading a file, or a member of a zip, raises; a PictureError is a ValueError."""

_PURPOSES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_NUM_NAMED = 3
_PICTURES_AT_ONCE = 32  # of a thread: fewer cost more in handing over than they balance


class FolderSource:
    """The pictures of a tree, found but not decoded."""

    def __init__(self, config: DataConfig, path: Path) -> None:
        """List the pictures under `path`.

        Raises:
            DataError: There is nothing there, or it is not laid out as classes of pictures.
        """
        self._config = config
        self._tree = list_tree(path)
        taken = [entry for entry in self._tree.entries if _extension(entry) in EXTENSIONS]
        self._ignored = [
            entry for entry in self._tree.entries if _extension(entry) not in EXTENSIONS
        ]
        self._pictures = _without_wrapping(taken, path)

    @property
    def tree(self) -> FileTree:
        """The folder or archive."""
        return self._tree

    @property
    def pictures(self) -> Sequence[FileEntry]:
        """What is taken for pictures, sorted by name."""
        return self._pictures

    @property
    def num_ignored(self) -> int:
        """Files that are no pictures by their extension."""
        return len(self._ignored)

    @property
    def key(self) -> str:
        """Hash of the names, sizes and times of change (in a zip: checksums) of the files."""
        digest = hashlib.sha256(b"zip" if self._tree.is_zip else b"folder")
        for entry in (*self._pictures, *self._ignored):
            digest.update("\0".join((*entry.parts, entry.stamp, "")).encode())
        return f"folder {digest.hexdigest()}"

    def decode(self, allocate: Allocate = in_memory, progress: Progress = unseen) -> DecodedSet:
        """Read every picture, with a thread for each processor.

        The result does not depend on their number: each picture has its place in the array.

        Args:
            allocate: Gives the array; it is worked on in place, and its beginning is returned.
            progress: Told after each batch of pictures.

        Raises:
            DataError: More pictures are damaged than `max_corrupt_share` allows, a class has too
                few images and `small_classes` is `refuse`, or fewer than 2 classes are left.
        """
        config = self._config
        plain = Preprocessing(config.image_size, config.color, invert=False)
        side, channels = plain.image_size, plain.channels
        images = allocate((len(self._pictures), channels, side, side))
        faults = self._read(plain, images, progress)
        notes = [*_ignored_note(self._ignored), *self._faults_note(faults)]
        sound = np.array([fault is None for fault in faults])
        pictures = [
            entry for entry, fault in zip(self._pictures, faults, strict=True) if not fault
        ]
        images = _keep(images, sound)
        kept, small_notes = self._large_enough(pictures)
        notes += small_notes
        images = _keep(images, kept)
        pictures = [entry for entry, is_kept in zip(pictures, kept, strict=True) if is_kept]
        is_inverted = config.color == "grey" and has_bright_border(images)
        if is_inverted:
            step = rows_at_once(images)
            for start in range(0, len(images), step):
                images[start : start + step] = invert(images[start : start + step])
            notes.append("values are inverted: the pictures are dark on a bright background")
        return DecodedSet(
            _label(images, pictures),
            Preprocessing(config.image_size, config.color, is_inverted),
            tuple(notes),
        )

    def _read(
        self, preprocessing: Preprocessing, images: NDArray[np.uint8], progress: Progress
    ) -> list[str | None]:
        """Every picture's pixels, put in their places, and for each what is wrong with it."""
        total = len(self._pictures)
        faults: list[str | None] = []
        with self._tree.reader() as read, strict_pictures():

            def decode(first: int) -> list[str | None]:
                found: list[str | None] = []
                for index in range(first, min(first + _PICTURES_AT_ONCE, total)):
                    try:
                        content = read(self._pictures[index])
                        images[index] = decode_picture(content, preprocessing)
                        found.append(None)
                    except UNREADABLE as error:
                        found.append(" ".join(str(error).split()) or type(error).__name__)
                return found

            with ThreadPoolExecutor(num_processors()) as pool:
                try:
                    for found in pool.map(decode, range(0, total, _PICTURES_AT_ONCE)):
                        faults += found
                        progress(len(faults), total)
                except BaseException:  # Ctrl-C does not wait for the pictures that are left
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        return faults

    def _faults_note(self, faults: Sequence[str | None]) -> list[str]:
        damaged = [
            f"{'/'.join(entry.parts)} ({fault})"
            for entry, fault in zip(self._pictures, faults, strict=True)
            if fault is not None
        ]
        if not damaged:
            return []
        count, total = len(damaged), len(faults)
        share = self._config.max_corrupt_share
        if count > share * total:
            raise DataError(
                f"data.max_corrupt_share lets {share:.1%} of the images be unreadable, got "
                f"{count} of {total} ({count / total:.1%}) in {self._tree.path}: "
                f"{_some(damaged)}; mend or remove them, or raise data.max_corrupt_share"
            )
        return [f"skipped {count} unreadable of {total} images: {_some(damaged)}"]

    def _large_enough(self, pictures: Sequence[FileEntry]) -> tuple[NDArray[np.bool_], list[str]]:
        """Which pictures belong to classes that have enough of them."""
        before = sorted({_class_name(entry) for entry in self._pictures})
        counts = Counter(_class_name(entry) for entry in pictures)
        small = [f"{name} ({counts[name]})" for name in before if counts[name] < LEAST_IMAGES]
        if small and self._config.small_classes == "refuse":
            raise DataError(
                f"every class must have at least {LEAST_IMAGES} readable images, got "
                f"{_some(small)}; add images, or set data.small_classes to drop"
            )
        num_left = len(before) - len(small)
        if num_left < 2:
            raise DataError(
                f"data.path must hold at least 2 classes of {LEAST_IMAGES} or more readable "
                f"images, got {num_left} in {self._tree.path}; lay the images out as "
                "CLASS/image or GROUP/CLASS/image"
            )
        kept = np.array([counts[_class_name(entry)] >= LEAST_IMAGES for entry in pictures])
        if not small:
            return kept, []
        classes = "1 class" if len(small) == 1 else f"{len(small)} classes"
        return kept, [f"dropped {classes} of fewer than {LEAST_IMAGES} images: {_some(small)}"]


def open_folder(config: DataConfig) -> FolderSource:
    """The tree or zip at `config.path`.

    Raises:
        DataError: There is nothing there, or it is not a tree of pictures.
    """
    assert config.path is not None  # DataConfig refuses folder without it
    return FolderSource(config, Path(config.path).expanduser())


def _without_wrapping(entries: Sequence[FileEntry], path: Path) -> tuple[FileEntry, ...]:
    """The pictures named from the folder that holds the groups, or the classes."""
    layout = "lay the images out as CLASS/image or GROUP/CLASS/image"
    if not entries:
        known = ", ".join(sorted(EXTENSIONS))
        raise DataError(f"data.path must hold images ({known}), got none in {path}; {layout}")
    by_depth = {len(entry.parts): "/".join(entry.parts) for entry in reversed(entries)}
    if min(by_depth) == 1:
        raise DataError(
            f"images must lie in class folders, got {by_depth[1]} in {path} itself; {layout}"
        )
    if len(by_depth) > 1:
        one, other = (by_depth[depth] for depth in sorted(by_depth)[:2])
        raise DataError(
            f"all images must lie equally deep, got {one} beside {other} in {path}; {layout}"
        )
    (depth,) = by_depth
    # Sorted by name, the first and the last differ as early as any two.
    first, last = entries[0].parts, entries[-1].parts
    shared = 0
    while shared < depth - 2 and first[shared] == last[shared]:
        shared += 1
    entries = [FileEntry(entry.parts[shared:], entry.stamp, entry.place) for entry in entries]
    if depth - shared > 3:
        raise DataError(
            f"images must lie at most two folders deep, got {'/'.join(entries[0].parts)} in "
            f"{path}; {layout}"
        )
    if depth - shared == 3:
        _refuse_purposes(entries, path)
    return tuple(entries)


def _refuse_purposes(entries: Iterable[FileEntry], path: Path) -> None:
    """Refuse train/CLASS beside test/CLASS: a class would lie on two sides of the split."""
    groups: dict[str, set[str]] = {}
    for entry in entries:
        groups.setdefault(entry.parts[0], set()).add(entry.parts[1])
    if {name.lower() for name in groups} <= _PURPOSES and set.intersection(*groups.values()):
        raise DataError(
            f"groups must not share classes, got {', '.join(sorted(groups))} in {path}, which "
            "hold the same ones; pass the folder of one of them (classes are split anew)"
        )


def _keep(images: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The kept images, moved to the beginning of the array where they are."""
    if kept.all():
        return images
    rows = np.flatnonzero(kept)  # rows[i] >= i, so that nothing is overwritten before it is read
    step = rows_at_once(images)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        images[start : start + len(part)] = images[part]
    return images[: len(rows)]


def _label(images: NDArray[np.uint8], pictures: Sequence[FileEntry]) -> ImageSet:
    """The images with the labels that their folders give them."""
    runs = [(name, len(list(run))) for name, run in groupby(pictures, key=_class_name)]
    classes = tuple(name for name, _ in runs)
    group_names = [name.rpartition("/")[0] or SINGLE_GROUP for name in classes]
    groups = tuple(dict.fromkeys(group_names))
    return ImageSet(
        images=images,
        labels=np.repeat(np.arange(len(runs), dtype=np.int64), [count for _, count in runs]),
        classes=classes,
        groups=groups,
        group_of_class=np.array([groups.index(name) for name in group_names], dtype=np.int64),
    )


def _class_name(entry: FileEntry) -> str:
    return "/".join(entry.parts[:-1])


def _extension(entry: FileEntry) -> str:
    return entry.parts[-1].rpartition(".")[2].lower() if "." in entry.parts[-1] else ""


def _ignored_note(ignored: Sequence[FileEntry]) -> list[str]:
    if not ignored:
        return []
    files = (
        "1 file that is no image"
        if len(ignored) == 1
        else f"{len(ignored)} files that are no images"
    )
    return [f"ignored {files} by the extension: {_some(['/'.join(e.parts) for e in ignored])}"]


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = len(names) - _NUM_NAMED
    return ", ".join(names[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def num_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
