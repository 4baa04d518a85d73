"""Keeps a study in a storage while it runs on a driver whose disk is its own.

The folder of the study on the driver is the working copy; one writer, this driver, copies what
changed: at once when a trial begins or ends, every few seconds else, and at the end. Another
driver on another host takes the copy and goes on. Checkpoints never pass here: the trials write
them into the storage themselves.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ..cluster.storage import Storage, StorageError, check_from_every_node
from ..trainables.report import Report
from .folder import StudyError, StudyFolder
from .records import TrialRecord

BEAT_S = 5.0
"""How often what changed is copied, and the claim renewed."""

SILENCE_S = 4 * BEAT_S
"""A driver that was silent for so long is taken to be dead."""

CLAIM = "driver.json"
_LEFT_OUT = ("tune", "wandb")


class StudyKeeper:
    """Copies a study to its storage, and holds the claim to be the only one that does.

    The claim is a small file that the driver rewrites every few seconds. It is read before each
    copy: a driver that finds another's name there was taken for dead, and stops. No clocks are
    compared; a new driver watches for itself whether the claim changes.
    """

    def __init__(
        self,
        folder: StudyFolder,
        storage: Storage,
        *,
        say: Callable[[str], None],
        lost: Callable[[str], None],
        beat_s: float = BEAT_S,
    ) -> None:
        """Begin with `with`.

        Args:
            folder: The working copy.
            storage: Of this study.
            say: Told when the storage does not answer, and again when it does.
            lost: Told why the search must end: another driver has the study.
            beat_s: How often what changed is copied, seconds; a claim is dead after four of it.
        """
        self._folder, self._storage = folder, storage
        self._say, self._lost, self._beat_s = say, lost, beat_s
        self._me = secrets.token_hex(8)
        self._beat = 0
        self._copied: dict[str, tuple[int, int]] = {}
        self._is_mine = False
        self._is_silent = False
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep_on, name="study keeper", daemon=True)

    def __enter__(self) -> Self:
        """Claim the study.

        Raises:
            StudyError: Another driver, which is alive, has it.
            StorageError: The storage cannot be used.
        """
        self._wait_for_silence()
        self._is_mine = True
        self._claim()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Copy the last state and let the study go."""
        self._is_over.set()
        self._thread.join()
        if not self._is_mine:
            return
        if self._folder.settings.exists():  # else nothing was begun
            self.copy(everything=True)
        if self._is_mine:
            try:
                self._storage.child(CLAIM).delete()
            except StorageError as problem:
                self._say(f"the claim on the study could not be removed: {problem}")

    def trial_started(self, record: TrialRecord) -> None:
        """The number of a trial must be known before its first checkpoint is."""
        self.copy()

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """Copied with the next beat."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A result is worth a copy."""
        self.copy()

    def study_ended(self, study: object) -> None:
        """Nothing: what lies in the folder is copied at the end of the claim."""

    def close(self, timeout_s: float) -> None:
        """The last copy is made when all is written, at the end of `with`."""

    def copy(self, *, everything: bool = False) -> None:
        """Copy what changed, the offline runs of W&B too where `everything` is asked for.

        A storage that does not answer costs a line; the next beat tries again.
        """
        with self._lock:
            try:
                if not self._is_still_mine():
                    return
                for path, state in self._changed(everything=everything):
                    names = path.relative_to(self._folder.path).parts
                    self._storage.child(*names).upload(path)
                    self._copied[str(path)] = state
            except (StorageError, OSError) as error:
                if not self._is_silent:
                    self._say(f"the study could not be copied, tried again: {error}")
                self._is_silent = True
                return
            if self._is_silent:
                self._say(f"the study is copied to {self._storage} again")
            self._is_silent = False

    def _changed(self, *, everything: bool) -> list[tuple[Path, tuple[int, int]]]:
        """Files that differ from their copies; settings last, which make a folder a study."""
        changed = []
        for path in sorted(self._folder.path.rglob("*")):
            top = path.relative_to(self._folder.path).parts[0]
            is_kept = top not in _LEFT_OUT or (everything and top == "wandb")
            if not is_kept or path.suffix in (".partial", ".lock") or not path.is_file():
                continue
            stat = path.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if self._copied.get(str(path)) != state:
                changed.append((path, state))
        return sorted(changed, key=lambda item: item[0] == self._folder.settings)

    def _keep_on(self) -> None:
        while not self._is_over.wait(self._beat_s):
            self.copy()
            with self._lock:
                if self._is_mine:
                    try:
                        self._claim()
                    except StorageError:
                        continue  # said by `copy`

    def _claim(self) -> None:
        self._beat += 1
        claim = {"driver": self._me, "host": socket.gethostname(), "beat": self._beat}
        self._storage.child(CLAIM).write(json.dumps(claim).encode())

    def _is_still_mine(self) -> bool:
        if not self._is_mine:
            return False
        claim = _parsed(self._storage.child(CLAIM).read())
        if claim.get("driver", self._me) != self._me:
            self._is_mine = False
            self._lost(f"another driver, on {claim.get('host')}, has taken over the study")
        return self._is_mine

    def _wait_for_silence(self) -> None:
        """Return when no other driver shows that it lives."""
        content = self._storage.child(CLAIM).read()
        if content is None:
            return
        host = _parsed(content).get("host")
        self._say(
            f"a driver on {host} has not let go of the study: watching for {4 * self._beat_s:g} s "
            "whether it lives"
        )
        deadline = time.monotonic() + 4 * self._beat_s
        while time.monotonic() < deadline:
            if self._is_over.wait(self._beat_s / 2):
                return
            now = self._storage.child(CLAIM).read()
            if now is None:
                return
            if now != content:
                raise StudyError(
                    f"study {self._folder.name} is being run by a driver on {host}: stop that "
                    f"first, with `tripletune stop {self._folder.name} --address ...`"
                )


def _parsed(claim: bytes | None) -> dict[str, object]:
    try:
        return dict(json.loads(claim or b"{}"))
    except ValueError:
        return {}


@contextmanager
def keeping(
    folder: StudyFolder, say: Callable[[str], None], lost: Callable[[str], None]
) -> Iterator[StudyKeeper | None]:
    """The keeper of a study that is kept in a storage; None for others."""
    if folder.storage is None:
        yield None
        return
    try:
        keeper = StudyKeeper(folder, folder.storage, say=say, lost=lost)
        keeper.__enter__()
    except StorageError as error:
        raise StudyError(str(error)) from error
    with ExitStack() as stack:
        stack.push(keeper)
        yield keeper


def require_shared(folder: StudyFolder, *, num_nodes: int) -> None:
    """Returns when every node can write checkpoints where the study is kept.

    Args:
        folder: Of the study; without a storage the disk that it lies on is tried.
        num_nodes: Of the connected cluster.

    Raises:
        StudyError: With the node, what failed there, and the fix.
    """
    storage = folder.storage
    if storage is None:
        if num_nodes < 2:
            return
        existing = next(path for path in folder.path.parents if path.is_dir())
        storage = Storage("file", str(existing))
    try:
        check_from_every_node(storage)
    except StorageError as error:
        raise StudyError(str(error)) from error


def fetch_study(storage: Storage, runs: Path) -> StudyFolder:
    """Copy a study from its storage into a folder of this machine, checkpoints excepted.

    Args:
        storage: Of the study; its last name is the study's.
        runs: Where to make the folder; what is there of the study is replaced.

    Raises:
        StudyError: If there is no such study.
        StorageError: If the storage cannot be used.
    """
    folder = StudyFolder((runs / storage.name).resolve(), storage)
    if not storage.child(folder.settings.name).exists():
        above = storage.parent
        known = [name for name in above.folders() if above.child(name, "study.yaml").exists()]
        raise StudyError(
            f"no study {storage.name!r} in {above}; "
            + (f"there are: {', '.join(known)}" if known else "there is none")
        )
    for file, _ in storage.files(without=_LEFT_OUT):
        names = file.path.removeprefix(storage.path + "/").split("/")
        if names[-1] != CLAIM:
            file.download(folder.path.joinpath(*names))
    return folder
