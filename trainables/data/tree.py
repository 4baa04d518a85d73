"""The files of a folder or of a zip archive, listed alike and in the same order."""

import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .image_set import DataError

_LARGEST_FILE_BYTES = 256 * 2**20
"""Of one file once unpacked: a larger one is no picture, and a zip bomb may claim to be one."""

_NOT_DATA = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file of a tree.

    Attributes:
        parts: Names of its folders and its own, from the root of the tree; only ever names, no
            file is written by them.
        stamp: Tells whether it changed: size and time of change, or size and checksum in a zip.
        place: Where to read it: index in the archive, or path on disk.
    """

    parts: tuple[str, ...]
    stamp: str
    place: str


@dataclass(frozen=True)
class FileTree:
    """A folder or a zip archive, listed.

    Attributes:
        path: Of the folder or the archive.
        is_zip: Which of the two.
        entries: Its files, sorted by name; hidden ones and those of the desktop are left out.
    """

    path: Path
    is_zip: bool
    entries: tuple[FileEntry, ...]

    @contextmanager
    def reader(self) -> Iterator[Callable[[FileEntry], bytes]]:
        """A function that reads an entry, for any number of threads.

        It raises OSError or zipfile.BadZipFile where the file is damaged.
        """
        if not self.is_zip:
            yield _read_file
            return
        with zipfile.ZipFile(self.path) as archive:
            members = archive.infolist()

            def read(entry: FileEntry) -> bytes:
                member = members[int(entry.place)]
                _check_size(member.file_size)
                return archive.read(member)

            yield read


def list_tree(path: Path) -> FileTree:
    """The files under a folder or in a zip archive.

    Args:
        path: Links to folders are followed, except to a folder that holds the link.

    Raises:
        DataError: There is nothing at `path`, it cannot be read, or it is a file but no zip.
    """
    try:
        if path.is_dir():
            return FileTree(path, False, tuple(sorted(_walk(path, (), frozenset()))))
        if not path.exists():
            raise DataError(
                f"data.path must be a folder or a zip file, got {path}, which does not exist; "
                "check the spelling"
            )
        if not zipfile.is_zipfile(path):
            raise DataError(
                f"data.path must be a folder or a zip file, got {path}, which is neither (or a "
                "zip that was cut off); unpack or download it again"
            )
        with zipfile.ZipFile(path) as archive:
            return FileTree(path, True, tuple(sorted(_members(archive, path))))
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"data.path must be readable, got {path}: {error}; check its rights or copy it again"
        ) from error


def _walk(folder: Path, parts: tuple[str, ...], above: frozenset[str]) -> Iterator[FileEntry]:
    above |= {os.path.realpath(folder)}
    with os.scandir(folder) as found:
        for item in found:
            if _is_skipped(item.name):
                continue
            here = (*parts, _name(os.fsencode(item.name).decode("utf-8", "backslashreplace")))
            if item.is_dir():
                if os.path.realpath(item.path) not in above:
                    yield from _walk(Path(item.path), here, above)
                continue
            try:
                status = item.stat()
            except OSError:  # a link to nothing: counted as an unreadable file when it is read
                yield FileEntry(here, "unreadable", item.path)
                continue
            if stat.S_ISREG(status.st_mode):
                yield FileEntry(here, f"{status.st_size} {status.st_mtime_ns}", item.path)


def _members(archive: zipfile.ZipFile, path: Path) -> Iterator[FileEntry]:
    for index, member in enumerate(archive.infolist()):
        names = member.filename.replace("\\", "/").split("/")
        parts = tuple(_name(name) for name in names if name not in ("", ".", ".."))
        if member.is_dir() or not parts or any(_is_skipped(name) for name in parts):
            continue
        if member.flag_bits & 1:
            raise DataError(
                f"data.path must be a zip without a password, got {path}; unpack it and pass the "
                "folder"
            )
        yield FileEntry(parts, f"{member.file_size} {member.CRC}", str(index))


def _name(name: str) -> str:
    """One spelling for accented letters: some systems store them as two characters."""
    return unicodedata.normalize("NFC", name)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _NOT_DATA


def _read_file(entry: FileEntry) -> bytes:
    path = Path(entry.place)
    _check_size(path.stat().st_size)
    return path.read_bytes()


def _check_size(size: int) -> None:
    if size > _LARGEST_FILE_BYTES:
        raise OSError(f"the file has {size} bytes, more than {_LARGEST_FILE_BYTES}")
