"""The folder of a study: what lies where in `runs/STUDY/`."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import walk_tree

from ..cluster.storage import Storage
from ..trainables.whole_file import whole_file
from .differences import space_differences
from .ownership import Owner

RESERVE_BYTES = 100 * 2**20
"""Free space below which a search stops while it can still write its own end."""

PROBE_S = 1.0
"""How long a start waits for a claim that may only be somebody's look at it."""


class StudyError(Exception):
    """A study that cannot be opened, made or continued; the message says what to do."""


@dataclass(frozen=True)
class StudyFolder:
    """Paths of one study.

    Attributes:
        path: `runs/STUDY`; its last part is the study's name.
        storage: Of this study, where it is kept in one: its checkpoints are only there.
    """

    path: Path
    storage: Storage | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def settings(self) -> Path:
        """Space, options, data fingerprint, split and episode hashes, versions."""
        return self.path / "study.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's journal: the truth of what was tried and reported."""
        return self.path / "optuna.log"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the study; see `claimed`."""
        return self.path / "running.lock"

    @property
    def owner(self) -> Path:
        """Host and process number of the one that runs the study."""
        return self.path / "running.json"

    @property
    def tune(self) -> Path:
        """Ray Tune's checkpoints, one folder a start of the search."""
        return self.path / "tune"

    @property
    def episodes(self) -> Path:
        """Accuracy of every episode, trial by trial."""
        return self.path / "episodes"

    @property
    def decisions(self) -> Path:
        """Why trials were stopped early, a line each."""
        return self.path / "decisions.jsonl"

    @property
    def reserve(self) -> Path:
        """Accuracy of every further episode, by which close calls are decided, at the rungs."""
        return self.episodes / "reserve"

    @property
    def confirm(self) -> Path:
        """What finalists scored when they were trained again."""
        return self.path / "confirm"

    @property
    def leaderboard(self) -> Path:
        """The leaderboard as CSV."""
        return self.path / "leaderboard.csv"

    @property
    def report(self) -> Path:
        """The page of the study."""
        return self.path / "report.html"

    @property
    def best(self) -> Path:
        """The export of the best trial."""
        return self.path / "best"

    @property
    def tune_address(self) -> str:
        """Where Ray Tune keeps checkpoints: `tune` here, or in the storage."""
        return str(self.tune) if self.storage is None else self._kept.address_for_tune

    def num_starts(self) -> int:
        """How often Ray Tune was started on the study."""
        if self.storage is None:
            return len(list(self.tune.glob("start-*")))
        return len(self._kept.folders())

    def checkpoint_addresses(self, number: int) -> list[str]:
        """Checkpoint files of a trial over all starts, the newest first, as its nodes see them."""
        if self.storage is None:
            return [str(path) for path in self.checkpoints(number)]
        return [str(file) for file in self._kept_checkpoints(number)]

    def checkpoints(self, number: int) -> list[Path]:
        """Checkpoint files of a trial on this machine, the newest first.

        Of a study that is kept in a storage, the newest is brought here first.
        """
        if self.storage is not None:
            for file in self._kept_checkpoints(number)[:1]:
                names = file.path.removeprefix(self.storage.path + "/").split("/")
                here = self.path.joinpath(*names)
                if not here.exists():
                    file.download(here)
                return [here]
        found = [
            path
            for name in (trial_folder_name(number), f"{trial_folder_name(number)}-retry*")
            for path in self.tune.glob(f"*/{name}/checkpoint_*/{CHECKPOINT_FILE}")
        ]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    @property
    def _kept(self) -> Storage:
        assert self.storage is not None
        return self.storage.child("tune")

    def _kept_checkpoints(self, number: int) -> list[Storage]:
        name = trial_folder_name(number)
        found = [
            file
            for start in self._kept.folders()
            for trial in self._kept.child(start).folders()
            if trial == name or trial.startswith(f"{name}-retry")
            for file, _ in self._kept.child(start, trial).files()
            if file.name == CHECKPOINT_FILE
        ]
        # By start and number: a bucket's times are whole seconds.
        return sorted(found, key=lambda file: file.path, reverse=True)

    def free_bytes(self) -> int:
        """Free space where the study lies, or will lie."""
        existing = next(path for path in (self.path, *self.path.parents) if path.exists())
        return shutil.disk_usage(existing).free

    def command(self, name: str) -> str:
        """A command on this study, as it is typed where the process was started."""
        command = f"tripletune {name} {self.name}"
        if self.path.parent == Path("runs").resolve():
            return command
        return f"{command} --runs {shown(self.path.parent)}"

    def make(self) -> None:
        """Make the folder if it is not there.

        Raises:
            StudyError: If it cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as error:
            raise StudyError(f"the study cannot be written to {self.path}: {error}") from error

    def require_new(self, space: str | None = None) -> None:
        """Refuse to begin a study where there is one.

        Args:
            space: Text of the space that it shall have; None where that does not matter.

        Raises:
            StudyError: With the difference to the one that is there, or the command that goes on
                with it.
        """
        is_kept = self.storage is not None and self.storage.child(self.settings.name).exists()
        if not self.settings.exists() and not is_kept:
            return
        place = f"study {self.name} exists in {self.storage if is_kept else self.path}"
        found = []
        if space is not None and self.settings.exists():
            found = space_differences(read_yaml(self.settings)["space"], space)
        if found:
            raise StudyError(
                f"{place} with another space: {'; '.join(found)}. Choose another --name"
            )
        raise StudyError(
            f"{place}: go on with it by `{self.command('resume')}`, or choose another --name"
        )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the study for this process alone; the claim ends with the process.

        Raises:
            StudyError: If another process runs it.
        """
        lock = filelock.FileLock(self.lock)
        try:
            lock.acquire(timeout=PROBE_S)  # longer than a look of `is_claimed`
        except filelock.Timeout:
            raise StudyError(
                f"study {self.name} is being run by {self._owner()}, which holds {self.lock}: "
                "stop that one first"
            ) from None
        try:
            # Beside the lock, which is emptied by whoever tries to take it.
            write_text(self.owner, json.dumps(Owner.this_process().to_dict()))
            self._mend_journal()
            yield
        finally:
            self.owner.unlink(missing_ok=True)
            lock.release()

    def is_claimed(self) -> bool:
        """Whether a process runs the study at this moment."""
        if not self.lock.exists():
            return False
        lock = filelock.FileLock(self.lock)
        try:
            with lock.acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # a study that may only be read
            return False

    def _owner(self) -> str:
        """Who holds the lock, as a message names it."""
        try:
            return str(Owner(**json.loads(self.owner.read_text())))
        except (OSError, ValueError, TypeError):  # it has the lock, but not written it yet
            return "another process"

    def _mend_journal(self) -> None:
        """Cut off a last line that was not written whole (full disk, power loss).

        Optuna reads over it, but would write its next entry onto it, and never read on.
        """
        if not self.journal.exists():
            return
        with self.journal.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            begin, tail = size, b""
            while begin and b"\n" not in tail:
                begin = max(0, begin - 2**16)
                file.seek(begin)
                tail = file.read(size - begin)
            file.truncate(begin + tail.rfind(b"\n") + 1)


CHECKPOINT_FILE = "trial.pt"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_study_folder(name: str, runs: Path) -> StudyFolder:
    """The folder of a study that is to be made.

    Raises:
        ValueError: If the name cannot be that of a folder and of a W&B group.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            "name must be 1 to 100 letters, digits, '.', '_' and '-', and begin with a letter or "
            f"digit, got {name!r}"
        )
    return StudyFolder((runs / name).resolve())


def trial_folder_name(number: int, retry: int = 0) -> str:
    """Name of a trial's folder under Tune's; a retry within one start has its own."""
    return f"trial_{number:05d}" + (f"-retry{retry}" if retry else "")


def find_study(name_or_path: str | Path, runs: Path) -> StudyFolder:
    """The folder of a study that exists, by name under `runs` or by path.

    Raises:
        StudyError: If there is none; the message lists the studies that are there.
    """
    for path in (Path(name_or_path), runs / name_or_path):
        if (path / "study.yaml").is_file():
            return StudyFolder(path.resolve())
    known = sorted(path.parent.name for path in runs.glob("*/study.yaml"))
    raise StudyError(
        f"no study {str(name_or_path)!r} under {runs}; "
        + (f"there are: {', '.join(known)}" if known else "there is none yet: tripletune search")
    )


def shown(path: Path) -> str:
    """A path as a person would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data as YAML, whole or not at all."""
    yaml = YAML()
    yaml.default_flow_style = False
    # Through JSON, so that only plain types are written; texts of several lines as they are.
    plain = json.loads(json.dumps(content))
    walk_tree(plain)
    with whole_file(path) as file:
        yaml.dump(plain, file)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read what `write_yaml` wrote."""
    with path.open(encoding="utf-8") as file:
        return dict(YAML(typ="safe").load(file))
