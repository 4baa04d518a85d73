"""Decoded image sets on disk, so that a set is decoded once and not at every search.

An entry is a folder `KEY/` with `images.npy` (mapped into memory when read), `labels.npy`,
`group_of_class.npy` and `set.json`. It is written under another name and then renamed, so an entry
is whole or not there; its fingerprint is checked when it is read.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock

from ...spaces import DataConfig
from .decoded import DecodedSet, Source, fingerprint
from .image_set import ImageSet
from .preprocessing import Preprocessing

_VERSION = 1
_LOCK_TIMEOUT_S = 600.0
_ARRAYS = ("images", "labels", "group_of_class")


def decode_with_cache(
    source: Source, config: DataConfig, cache_dir: Path
) -> tuple[DecodedSet, str]:
    """The decoded set and its fingerprint, from the cache or decoded now and put there.

    A cache that cannot be used (read-only, full, locked for ten minutes, damaged) costs time and a
    note, never the result.

    Args:
        source: What to decode.
        config: How; the options that change the result are part of the entry's name.
        cache_dir: Holds the entries; made where it is missing.

    Raises:
        DataError: The source cannot be decoded.
    """
    key = _key(source, config)
    lock = FileLock(cache_dir / f"{key}.lock", timeout=_LOCK_TIMEOUT_S)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        decoded = _with_notes(source.decode(), [_no_cache_note(cache_dir, error)])
        return decoded, fingerprint(decoded.image_set)
    try:
        return _read_or_build(source, cache_dir / key)
    finally:
        lock.release()


def _read_or_build(source: Source, entry: Path) -> tuple[DecodedSet, str]:
    notes: list[str] = []
    if entry.exists():
        try:
            return _read(entry)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            notes.append(f"decoded again: the cached set {entry} is damaged ({error})")
    decoded = source.decode()
    name = fingerprint(decoded.image_set)
    try:
        _write(entry, decoded, name)
    except OSError as error:
        notes.append(_no_cache_note(entry.parent, error))
    return _with_notes(decoded, notes), name


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


def _read(entry: Path) -> tuple[DecodedSet, str]:
    """The entry as it was written.

    Raises:
        ValueError: Its content is not what its fingerprint says, or a file was cut off.
        OSError: A file is missing.
    """
    record = json.loads((entry / "set.json").read_text(encoding="utf-8"))
    images, labels, group_of_class = (
        np.load(entry / f"{name}.npy", mmap_mode="r" if name == "images" else None)
        for name in _ARRAYS
    )
    image_set = ImageSet(
        images, labels, tuple(record["classes"]), tuple(record["groups"]), group_of_class
    )
    if fingerprint(image_set) != record["fingerprint"]:
        raise ValueError("its content does not match its fingerprint")
    decoded = DecodedSet(
        image_set, Preprocessing(**record["preprocessing"]), tuple(record["notes"])
    )
    return decoded, record["fingerprint"]


def _write(entry: Path, decoded: DecodedSet, name: str) -> None:
    """Write the entry beside its place, then rename it there."""
    image_set = decoded.image_set
    record = {
        "classes": image_set.classes,
        "groups": image_set.groups,
        "preprocessing": decoded.preprocessing.to_dict(),
        "notes": decoded.notes,
        "fingerprint": name,
    }
    made = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=entry.parent))
    try:
        for array_name in _ARRAYS:
            with (made / f"{array_name}.npy").open("wb") as file:
                np.save(file, getattr(image_set, array_name))
                _flush(file)
        with (made / "set.json").open("wb") as file:
            file.write(json.dumps(record).encode())
            _flush(file)
        if entry.exists():
            shutil.rmtree(entry)
        made.rename(entry)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
