"""Where studies are kept when the nodes share no disk: S3, Google Cloud Storage, or a mount.

One layout for all: `STORAGE/STUDY/...` for a study, `STORAGE/data/HASH.zip` for packed images. The
nodes reach it with their own rights (an instance's or pod's role, or variables that they were
started with); nothing here carries a key from one machine to another.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow import fs

SCHEMES = ("s3", "gs", "file")

CHECK_TIMEOUT_S = 120.0
"""How long the nodes may take to answer the check together; a bucket out of reach takes long."""

_FORMS = "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER of a disk that all nodes mount"


class StorageError(Exception):
    """A storage that cannot be used; the message holds its address, the node and the fix."""


@dataclass(frozen=True)
class Storage:
    """A folder in a bucket or on a mount.

    Attributes:
        scheme: One of `SCHEMES`.
        path: Bucket and folder, or an absolute path; no slash at its end.
        query: Options of the address, such as `endpoint_override=HOST:PORT&scheme=http`.
    """

    scheme: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the storage of an address.

        Raises:
            ValueError: It is none, or holds a key, which would end in files and logs.
        """
        parts = urlsplit(text)
        path = parts.netloc + parts.path.rstrip("/")
        is_whole = bool(parts.netloc) != (parts.scheme == "file") and path not in ("", "/")
        if parts.scheme not in SCHEMES or not is_whole or parts.fragment:
            raise ValueError(f"storage must be {_FORMS}, got {_without_password(text)!r}")
        if parts.username or parts.password or "secret" in parts.query.lower():
            raise ValueError(
                "storage must be an address without keys, since it is written into the study, got "
                f"one with a key for {parts.hostname or parts.netloc}; give the nodes a role, or "
                "start them with the variables (AWS_ACCESS_KEY_ID, ...)"
            )
        return cls(parts.scheme, path, parts.query)

    def __str__(self) -> str:
        """Returns the address."""
        return f"{self.scheme}://{self.path}" + (f"?{self.query}" if self.query else "")

    def child(self, *names: str) -> "Storage":
        """A folder or a file below."""
        return Storage(self.scheme, "/".join([self.path, *names]), self.query)

    @property
    def parent(self) -> "Storage":
        """The folder above."""
        return Storage(self.scheme, self.path.rpartition("/")[0], self.query)

    @property
    def address_for_tune(self) -> str:
        """As Ray Tune takes it: a path where it is one, since a space in an address is refused."""
        return self.path if self.scheme == "file" else str(self)

    @property
    def name(self) -> str:
        """Last part of its path."""
        return self.path.rpartition("/")[2]

    def read(self) -> bytes | None:
        """Content of the file; None where there is none."""
        try:
            with self._reached() as files, files.open_input_stream(self.path) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Make it a file, whole or not at all."""
        with (
            self._reached() as files,
            self._replacing(files) as path,
            files.open_output_stream(path) as file,
        ):
            file.write(content)

    def upload(self, source: Path) -> None:
        """Make it the file that lies on this machine, whole or not at all."""
        with (
            source.open("rb") as read,
            self._reached() as files,
            self._replacing(files) as path,
            files.open_output_stream(path) as file,
        ):
            while block := read.read(_BLOCK_BYTES):
                file.write(block)

    def download(self, target: Path) -> bool:
        """Copy the file to this machine.

        Returns:
            Whether there was one.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        try:
            with self._reached() as files, files.open_input_stream(self.path) as file:
                with partial.open("wb") as write:
                    while block := file.read(_BLOCK_BYTES):
                        write.write(block)
                partial.replace(target)
        except FileNotFoundError:
            return False
        return True

    def delete(self) -> None:
        """Remove the file, if it is there."""
        with self._reached() as files, suppress(FileNotFoundError):
            files.delete_file(self.path)

    def delete_folder(self) -> None:
        """Remove the folder and all that is in it, if it is there."""
        with self._reached() as files, suppress(FileNotFoundError):
            files.delete_dir(self.path)

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        from pyarrow import fs

        with self._reached() as files:
            return bool(files.get_file_info(self.path).type != fs.FileType.NotFound)

    def state(self) -> tuple[int, int] | None:
        """Size and time of writing (nanoseconds) of the file; None where there is none."""
        with self._reached() as files:
            info = files.get_file_info(self.path)
        return (int(info.size), int(info.mtime_ns or 0)) if info.is_file else None

    def folders(self) -> list[str]:
        """Names of the folders directly below."""
        return [Path(info.path).name for info in self._list() if not info.is_file]

    def files(self, *, without: Collection[str] = ()) -> "list[tuple[Storage, int]]":
        """Every file below, and when it was written (nanoseconds), the newest first.

        Args:
            without: Names of folders directly below that are not looked into.
        """
        found = []
        for info in self._list():
            here = Storage(self.scheme, info.path, self.query)
            if info.is_file:
                found.append((here, int(info.mtime_ns or 0)))
            elif here.name not in without:
                found += [
                    (Storage(self.scheme, below.path, self.query), int(below.mtime_ns or 0))
                    for below in here._list(recursive=True)
                    if below.is_file
                ]
        return sorted(found, key=lambda file: file[1], reverse=True)

    def _list(self, *, recursive: bool = False) -> "list[fs.FileInfo]":
        from pyarrow import fs

        with self._reached() as files:
            selector = fs.FileSelector(self.path, allow_not_found=True, recursive=recursive)
            return list(files.get_file_info(selector))

    @contextmanager
    def _reached(self) -> "Iterator[fs.FileSystem]":
        """Its file system; what that cannot do is mapped here."""
        import pyarrow
        from pyarrow import fs

        try:
            # The root: a path with spaces is no address.
            root = (
                "file:///"
                if self.scheme == "file"
                else str(Storage(self.scheme, _ANY, self.query))
            )
            files, _ = fs.FileSystem.from_uri(root)
            yield files
        except FileNotFoundError:
            raise
        except (OSError, pyarrow.ArrowException) as error:
            raise StorageError(f"storage {self} cannot be used: {_reason(error)}") from error

    @contextmanager
    def _replacing(self, files: "fs.FileSystem") -> Iterator[str]:
        """A path to write; objects appear whole by themselves, files when they are renamed."""
        if self.scheme != "file":
            yield self.path
            return
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        partial = f"{self.path}.{secrets.token_hex(4)}.partial"
        yield partial
        files.move(partial, self.path)


@contextmanager
def local_file(address: str) -> Iterator[Path]:
    """A file for reading: itself where it is a path, else a copy for as long as it is needed.

    Raises:
        FileNotFoundError: There is none.
        StorageError: The storage cannot be used.
    """
    if "://" not in address:
        yield Path(address)
        return
    with TemporaryDirectory(prefix="tripletune-") as folder:
        here = Path(folder) / "file"
        if not Storage.parse(address).download(here):
            raise FileNotFoundError(f"there is no file at {address}")
        yield here


_ANY = "bucket"
_BLOCK_BYTES = 8 * 2**20


def check_from_every_node(storage: Storage) -> None:
    """Returns when every node of the connected cluster can use the storage, and all see one.

    The driver writes a file, which each node must find; each node writes one of its own, reads it
    back and leaves it for the driver to find and delete. So a folder that exists everywhere, but
    on each node's own disk, is found out.

    Raises:
        StorageError: With what failed on which node, and the fix.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    folder = storage.child(f".check-{secrets.token_hex(8)}")
    greeting = secrets.token_hex(16)
    folder.child("driver").write(greeting.encode())
    try:
        ask = ray.remote(num_cpus=0, max_retries=0)(_check_here)
        names: dict[str, str] = {}
        answers: list[Any] = []
        for node in ray.nodes():
            if node["Alive"]:
                node_id = node["NodeID"]
                names[node_id] = node["NodeManagerAddress"]
                place = NodeAffinitySchedulingStrategy(node_id, soft=False)
                answers.append(
                    ask.options(scheduling_strategy=place).remote(str(folder), node_id, greeting)
                )
        problems = []
        for node_id, answer in zip(names, answers, strict=True):
            try:
                problem = ray.get(answer, timeout=CHECK_TIMEOUT_S)
            except (ray.exceptions.RayError, TimeoutError) as error:
                problem = f"it did not answer ({type(error).__name__})"
            if problem is None and folder.child(node_id).read() != greeting.encode():
                problem = "what it writes is not found from the driver"
            if problem:
                problems.append(f"node {names[node_id]}: {problem}")
    finally:
        folder.delete_folder()
    if problems:
        raise StorageError(
            f"storage {storage} must be readable and writable from every node, got: "
            f"{'; '.join(problems)}. Mount one disk on all nodes, or use s3:// or gs:// with "
            "rights for all of them"
        )


def _check_here(folder: str, name: str, greeting: str) -> str | None:
    """What is wrong with the storage, seen from the node that runs this; None is nothing."""
    try:
        here = Storage.parse(folder)
        if here.child("driver").read() != greeting.encode():
            return "it does not see what the driver wrote: the disk is its own"
        own = here.child(name)
        own.write(greeting.encode())
        if own.read() != greeting.encode():
            return "it does not read what it wrote"
        trial = here.child(f"{name}-deleted")
        trial.write(b"")
        trial.delete()
    except (StorageError, OSError, ValueError) as error:
        return str(error)
    return None


def _reason(error: BaseException) -> str:
    return " ".join(str(error).partition(" (Request ID")[0].split())[:300] or type(error).__name__


def _without_password(text: str) -> str:
    """An address as it may be shown."""
    parts = urlsplit(text)
    return text if parts.password is None else text.replace(parts.password, "***")
