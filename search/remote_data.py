"""Data that lie at an address: brought to this machine once; and data packed to be sent there."""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

from ..cluster.storage import Storage
from ..spaces import DataConfig
from ..trainables.whole_file import whole_file

_BLOCK_BYTES = 2**20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold


def is_address(path: str | None) -> bool:
    """Whether data lie in a storage, not on this machine."""
    return path is not None and "://" in path


def localized(config: DataConfig) -> DataConfig:
    """The section with its files on this machine, downloaded where they lie at an address.

    Raises:
        FileNotFoundError: If there is nothing at an address.
        StorageError: If the storage cannot be used.
    """
    split = config.split.model_copy(update={"path": _local("data.split.path", config.split.path)})
    return config.model_copy(update={"path": _local("data.path", config.path), "split": split})


def _local(key: str, path: str | None) -> str | None:
    if path is None or not is_address(path):
        return path
    address = Storage.parse(path)
    state = address.state()
    if state is None:
        raise FileNotFoundError(f"{key} must be a file in a storage, got {path}: there is none")
    name = hashlib.sha256(f"{path} {state}".encode()).hexdigest()[:32] + Path(address.name).suffix
    here = user_cache_path("tripletune") / "downloads" / name
    if not here.exists():
        address.download(here)
    return str(here)


@dataclass(frozen=True)
class DataPack:
    """Data in one file, named by its content.

    Attributes:
        file: On this machine: a zip of images, or the list of a split.
        digest: SHA-256 of the file.
    """

    file: Path
    digest: str

    @property
    def name(self) -> str:
        """Of its copy in a storage."""
        return self.digest + self.file.suffix

    @property
    def num_bytes(self) -> int:
        """Size of the file."""
        return self.file.stat().st_size


def pack(data: Path) -> DataPack:
    """One file of a folder or a zip; the same content gives the same file.

    A folder is packed once: the file lies in the user's cache under the names, sizes and times of
    what is in it. Hidden files are left out.

    Raises:
        ValueError: If there is nothing to pack.
    """
    if data.is_file():
        return DataPack(data, _digest(data))
    files = [path for path in sorted(data.rglob("*")) if _is_packed(path.relative_to(data), path)]
    if not files:
        raise ValueError(f"--data must hold images, got {data}: it is empty")
    listing = hashlib.sha256()
    for path in files:
        stat = path.stat()
        listing.update(f"{path.relative_to(data)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    listing.update(str(data.resolve()).encode())
    packed = user_cache_path("tripletune") / "packed" / f"{listing.hexdigest()[:32]}.zip"
    if not packed.exists():
        packed.parent.mkdir(parents=True, exist_ok=True)
        # Pictures are compressed already.
        with whole_file(packed) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                entry = zipfile.ZipInfo(path.relative_to(data).as_posix(), _LONG_AGO)
                with path.open("rb") as read, archive.open(entry, "w", force_zip64=True) as write:
                    for block in _blocks(read):
                        write.write(block)
    return DataPack(packed, _digest(packed))


def _is_packed(name: Path, path: Path) -> bool:
    return path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in name.parts)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as read:
        for block in _blocks(read):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block
