"""A search as a job of a cluster: what is sent, and what its driver makes of it there."""

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster.jobs import MAX_PACKAGE_BYTES, STORAGE, STUDY, JobServer
from ..cluster.storage import Storage
from ..spaces import Space
from .folder import StudyError, new_study_folder, write_text
from .options import SearchOptions
from .remote_data import DataPack, is_address, pack

if TYPE_CHECKING:
    from .live import LiveTable
    from .study import Study

FILE = "submission.json"
DATA = "data"
"""Folder of a storage for what was sent, each file under the hash of its content."""

COMMAND = f"exec python -m tripletune drive {FILE}"

SECRETS = ("WANDB_API_KEY",)
"""Variables of this machine that the driver gets, by a way that nothing lists or keeps."""

SETTINGS = ("WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_MODE")
"""Variables that it gets openly."""


@dataclass(frozen=True)
class Submission:
    """What a driver is told.

    Attributes:
        study: Its name.
        space: Text of the space, overrides written in; None goes on with the study.
        options: Of the search: those of `SearchOptions` for a new study, those that change for
            one that goes on.
        storage: Address of the storage of all studies.
        files: Where the cluster holds what was sent, by the name that it gets in the storage,
            where the driver puts it.
        secrets_package: Where it holds the secrets until the driver has read them.
    """

    study: str
    space: str | None
    options: Mapping[str, Any]
    storage: str
    files: Mapping[str, str] = field(default_factory=dict)
    secrets_package: str = ""

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def read(cls, path: Path) -> "Submission":
        """What `to_text` wrote."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Parcel:
    """A submission, and what goes beside it.

    Attributes:
        submission: What the driver is told.
        files: To be sent, or put into the storage from here.
        secrets: Values by variable.
        variables: Of the driver's environment, which everyone may see.
    """

    submission: Submission
    files: Sequence[DataPack]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """What would be sent, for a person or a script; of secrets the names only."""
        return {
            "study": self.submission.study,
            "storage": str(Storage.parse(self.submission.storage).child(self.submission.study)),
            "command": COMMAND,
            "package": str(files(__name__.partition(".")[0])),
            "files": [{"name": file.name, "bytes": file.num_bytes} for file in self.files],
            "variables": dict(self.variables),
            "secrets": sorted(self.secrets),
            "options": dict(self.submission.options),
            "space": self.submission.space,
        }


def new_study(
    space: Space,
    options: SearchOptions,
    *,
    storage: Storage,
    name: str | None,
    environment: Mapping[str, str],
) -> Parcel:
    """A parcel that begins a study.

    Args:
        space: What may be tried; data on this machine are packed.
        options: Of the search; where it runs is filled in there.
        storage: Of all studies.
        name: Of the study; by default the space's name and the time.
        environment: Of this process.

    Raises:
        ValueError: If the name cannot be used.
        FileNotFoundError: If the data are not there.
    """
    name = name or f"{space.name}-{datetime.now():%Y%m%d-%H%M%S}"
    new_study_folder(name, Path())  # refuses what cannot be a name
    config = space.data_configs()[0]
    given = {"data.split.path": config.split.path}
    if config.name in ("folder", "series"):
        given["data.path"] = config.path
    files = {}
    for key, path in given.items():
        if path is None or is_address(path):
            continue
        here = Path(path).expanduser()
        if not here.exists() and config.name == "series":
            continue  # a set inside a library has a name alone
        if not here.exists():
            raise FileNotFoundError(f"{key} must be a file or a folder, got {path}: it is absent")
        files[key] = pack(here)
    space = space.with_values(
        {key: str(storage.child(DATA, file.name)) for key, file in files.items()}
    )
    submission = Submission(name, space.text, options.to_dict(), str(storage))
    return Parcel(submission, list(files.values()), *_taken_along(options.wandb, environment))


def going_on(
    study: str, changes: Mapping[str, Any], *, storage: Storage, environment: Mapping[str, str]
) -> Parcel:
    """A parcel that goes on with a study.

    Args:
        study: Its name.
        changes: Options that are not to be those of its last start.
        storage: Of all studies.
        environment: Of this process.
    """
    submission = Submission(study, None, changes, str(storage))
    return Parcel(submission, [], *_taken_along("auto", environment))


def send(
    parcel: Parcel,
    server: JobServer,
    say: Callable[[str], None],
) -> str:
    """Hand a parcel to a cluster.

    Args:
        parcel: What to send.
        server: Of the cluster.
        say: Told what is uploaded.

    Returns:
        Id of the job.

    Raises:
        JobError: If the cluster does not take it.
        StorageError: If data too large to be sent by HTTP cannot be put into the storage.
    """
    storage = Storage.parse(parcel.submission.storage)
    sent = {file.name: _send(file, storage, server, say) for file in parcel.files}
    submission = replace(
        parcel.submission, files={name: package for name, package in sent.items() if package}
    )
    if parcel.secrets:
        content = json.dumps(dict(parcel.secrets)).encode()
        uri = server.put_package(f"once-{secrets.token_hex(16)}", content)
        submission = replace(submission, secrets_package=uri)
    with tempfile.TemporaryDirectory(prefix="tripletune-") as folder:
        write_text(Path(folder) / FILE, submission.to_text())
        return server.submit(
            name=submission.study,
            command=COMMAND,
            folder=Path(folder),
            package=Path(str(files(__name__.partition(".")[0]))),
            metadata={STUDY: submission.study, STORAGE: submission.storage},
            variables=parcel.variables,
        )


def _send(
    file: DataPack, storage: Storage, server: JobServer, say: Callable[[str], None]
) -> str | None:
    """Bring a file to the cluster; the package that holds it, None where the storage does."""
    what = f"{file.file.name} ({file.num_bytes / 2**20:.1f} MiB)"
    if file.num_bytes <= MAX_PACKAGE_BYTES:
        say(f"sending {what}")
        return server.put_package(f"data-{file.digest}", file.file.read_bytes())
    kept = storage.child(DATA, file.name)
    if not kept.exists():
        say(f"copying {what} to {kept}: too large for the cluster's head")
        kept.upload(file.file)
    return None


def _taken_along(
    wandb: str, environment: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if wandb == "off":
        return {}, {}
    return tuple(  # type: ignore[return-value]  # of two
        {name: environment[name] for name in names if environment.get(name)}
        for names in (SECRETS, SETTINGS)
    )


# ---- on the cluster ----------------------------------------------------------------------------


@contextmanager
def working_copy() -> Iterator[Path]:
    """A folder of studies on this node's disk, for as long as a driver is here."""
    with tempfile.TemporaryDirectory(prefix="tripletune-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def drive(submission: Submission, runs: Path, live: "LiveTable") -> "Study":
    """Run a submission on the node where its driver is.

    Args:
        submission: What to do.
        runs: Folder of the study's working copy; the storage keeps the study.
        live: Shows the search.

    Raises:
        What `run_search` and `resume` raise.
    """
    from .keeping import fetch_study
    from .runner import resume, run_search
    from .study import Study

    storage = Storage.parse(submission.storage)
    _receive(submission, storage, live.message)
    here = {"address": "auto", "kept_in": submission.storage}
    if submission.space is not None:
        options = SearchOptions.from_dict(dict(submission.options) | here)
        space = Space.from_text(submission.space, origin=f"{submission.study}.yaml")
        return run_search(space, options, name=submission.study, runs=runs, live=live)
    study = Study.open(fetch_study(storage.child(submission.study), runs))
    options = SearchOptions.from_dict(
        dict(study.settings.options) | dict(submission.options) | here
    )
    return resume(study, options, live=live)


def _receive(submission: Submission, storage: Storage, say: Callable[[str], None]) -> None:
    """Take what the cluster holds for this driver: secrets into the environment, data to stay."""
    from ..cluster import open_session
    from ..cluster.jobs import taken_package

    if not submission.secrets_package and not submission.files:
        return
    with open_session("auto"):
        if submission.secrets_package:
            content = taken_package(submission.secrets_package)
            if content is None:
                say("the secrets that were sent are gone: the driver waited too long for a node")
            os.environ.update(json.loads(content or b"{}"))
        for name, package in submission.files.items():
            kept = storage.child(DATA, name)
            if kept.exists():
                continue
            content = taken_package(package, keep=True)
            if content is None:
                raise StudyError(
                    "the data that were sent are gone: the driver waited too long for a node; "
                    "submit again"
                )
            kept.write(content)
