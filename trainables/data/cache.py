"""Decoded image sets on disk, so that a set is decoded once and not at every search.

An entry is a folder `KEY/` with `images.npy` (mapped into memory when read), `labels.npy`,
`group_of_class.npy` and `set.json`. Images are decoded straight into the file, under another name
that is then changed, so an entry is whole or not there. A lock lets one process decode while the
others wait, and the system takes it from a process that is killed.

Where a set is larger than memory, its training and validation images are mapped by the trials:
they are copied to files of their own below `KEY/`, since no trial may see the test images.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ...spaces import DataConfig
from .array_file import Shape, create_array, cut_array, open_array
from .decoded import DecodedSet, Progress, Source, fingerprint, unseen
from .image_set import ImageSet
from .series_preprocessing import read_preprocessing

_VERSION = 1
_LOCK_TIMEOUT_S = 6 * 3600.0  # the other process decodes; a dead one holds no lock
_ARRAYS = ("images", "labels", "group_of_class")


@dataclass(frozen=True, eq=False)
class CachedSet:
    """A decoded set, and where it lies.

    Attributes:
        decoded: The set; its images may be mapped from the file, read-only.
        fingerprint: Of its content.
        entry: Its folder in the cache; None where it could not be put there.
    """

    decoded: DecodedSet
    fingerprint: str
    entry: Path | None


def decode_with_cache(
    source: Source,
    config: DataConfig,
    cache_dir: Path,
    progress: Progress = unseen,
    *,
    is_checked: Callable[[int], bool] = lambda size: True,
) -> CachedSet:
    """The decoded set and its fingerprint, from the cache or decoded now and put there.

    A cache that cannot be used (read-only, full, locked for hours, damaged) costs time and a note,
    never the result.

    Args:
        source: What to decode.
        config: How; the options that change the result are part of the entry's name.
        cache_dir: Holds the entries; made where it is missing.
        progress: Told how far the decoding is.
        is_checked: Whether the content of an entry of so many bytes is compared with its
            fingerprint, which reads all of it; its size always is.

    Raises:
        DataError: The source cannot be decoded.
    """
    key = _key(source, config)
    lock = FileLock(cache_dir / f"{key}.lock", timeout=_LOCK_TIMEOUT_S)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        decoded = source.decode(progress=progress)
        decoded = _with_notes(decoded, [_no_cache_note(cache_dir, error)])
        return CachedSet(decoded, fingerprint(decoded.image_set), None)
    try:
        return _read_or_build(source, cache_dir / key, progress, is_checked)
    finally:
        lock.release()


def _read_or_build(
    source: Source, entry: Path, progress: Progress, is_checked: Callable[[int], bool]
) -> CachedSet:
    notes: list[str] = []
    if entry.exists():
        try:
            return _read(entry, is_checked)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            notes.append(f"decoded again: the cached set {entry} is damaged ({error})")
    for left in entry.parent.glob(f"{entry.name}.*"):  # of a process that was killed
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=entry.parent))
    except OSError as error:
        return _uncached(source.decode(progress=progress), entry, error, notes)
    try:
        return _build(source, entry, made, progress, notes)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _build(
    source: Source, entry: Path, made: Path, progress: Progress, notes: list[str]
) -> CachedSet:
    """Decode into `made` and rename it to the entry."""
    problems: list[OSError] = []
    files: list[NDArray[np.uint8]] = []

    def allocate(shape: Shape) -> NDArray[np.uint8]:
        try:
            files.append(create_array(made / "images.npy", shape))
        except OSError as error:
            problems.append(error)
            return np.zeros(shape, np.uint8)
        return files[-1]

    decoded = source.decode(allocate, progress)
    for images in files:
        if isinstance(images, np.memmap):
            images.flush()
    if problems:
        return _uncached(decoded, entry, problems[0], notes)
    name = fingerprint(decoded.image_set)
    try:
        _write(made, decoded, name, is_mapped=bool(files))
        if entry.exists():
            shutil.rmtree(entry)
        made.rename(entry)
    except OSError as error:
        return _uncached(decoded, entry, error, notes)
    return CachedSet(_with_notes(_load(entry)[0], notes), name, entry)


def _uncached(decoded: DecodedSet, entry: Path, error: OSError, notes: list[str]) -> CachedSet:
    decoded = _with_notes(decoded, [*notes, _no_cache_note(entry.parent, error)])
    return CachedSet(decoded, fingerprint(decoded.image_set), None)


def _no_cache_note(cache_dir: Path, error: Exception) -> str:
    return (
        f"not cached, so the next search decodes again: cannot write to {cache_dir} ({error}); "
        "free some space or choose another cache folder"
    )


def _with_notes(decoded: DecodedSet, notes: list[str]) -> DecodedSet:
    return DecodedSet(decoded.image_set, decoded.preprocessing, (*decoded.notes, *notes))


def _key(source: Source, config: DataConfig) -> str:
    options = [
        *(_VERSION, source.key, config.image_size, config.color),
        *(config.max_corrupt_share, config.small_classes),
    ]
    return hashlib.sha256(json.dumps(options).encode()).hexdigest()[:32]


def _read(entry: Path, is_checked: Callable[[int], bool]) -> CachedSet:
    """The entry as it was written.

    Raises:
        ValueError: Its content is not what its fingerprint says, or a file was cut off.
        OSError: A file is missing.
    """
    decoded, name = _load(entry)
    images = decoded.image_set
    if is_checked(images.images.nbytes) and fingerprint(images) != name:
        raise ValueError("its content does not match its fingerprint")
    return CachedSet(decoded, name, entry)


def _load(entry: Path) -> tuple[DecodedSet, str]:
    record = json.loads((entry / "set.json").read_text(encoding="utf-8"))
    image_set = ImageSet(
        open_array(entry / "images.npy"),
        np.load(entry / "labels.npy"),
        tuple(record["classes"]),
        tuple(record["groups"]),
        np.load(entry / "group_of_class.npy"),
    )
    decoded = DecodedSet(
        image_set, read_preprocessing(record["preprocessing"]), tuple(record["notes"])
    )
    return decoded, record["fingerprint"]


def _write(made: Path, decoded: DecodedSet, name: str, *, is_mapped: bool) -> None:
    """Write what is missing of an entry, and make all of it safe on the disk."""
    image_set = decoded.image_set
    record = {
        "classes": image_set.classes,
        "groups": image_set.groups,
        "preprocessing": decoded.preprocessing.to_dict(),
        "notes": decoded.notes,
        "fingerprint": name,
    }
    if is_mapped:
        # The images are the first of those in the file, which `decode` worked on.
        cut_array(made / "images.npy", image_set.images.shape)
    for array_name in ("labels", "group_of_class") if is_mapped else _ARRAYS:
        with (made / f"{array_name}.npy").open("wb") as file:
            np.save(file, getattr(image_set, array_name))
            _flush(file)
    with (made / "set.json").open("wb") as file:
        file.write(json.dumps(record).encode())
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
