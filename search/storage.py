"""The storage of a study as its one writer uses it: many small writes, few commits.

What is promised: recipe and end of a trial are on the disk when the call returns. A report
survives the death of this process: in a journal at once, in a database after at most `BATCH_S`; it
survives the death of the machine after at most `BATCH_S` in both. A trial whose newest reports
were lost goes on from a checkpoint that is not ahead of them, and makes them again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock, Timer
from typing import Any, Final, Protocol

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from .database_url import JOURNAL

BATCH_S: Final = 0.2
"""How long a report may wait for the commit that it shares with others."""


class StudyStorage(Protocol):
    """Where the trials of one study are written by one process."""

    @property
    def optuna(self) -> BaseStorage:
        """As Optuna reads it, and writes starts and ends of trials."""

    def keep(
        self, trial_id: int, values: Mapping[int, float], attributes: Mapping[str, Any]
    ) -> None:
        """Write intermediate values by step, then user attributes of a running trial, soon."""

    def flush(self) -> None:
        """Return when everything written so far is on the disk."""

    def claimed(self, study: str) -> AbstractContextManager[object]:
        """Hold a study of it for this process, where its folder's claim is not enough.

        Raises:
            StudyError: If another process holds it.
        """


def open_storage(storage: str, journal: Path) -> StudyStorage:
    """The storage of a study.

    Args:
        storage: `journal`, or a database's URL without its password.
        journal: Where a journal lies.

    Raises:
        StudyError: If the database cannot be reached.
    """
    if storage == JOURNAL:
        return JournalKeeper(journal)
    # SQLAlchemy takes a third of a second to import.
    from .database import DatabaseKeeper

    return DatabaseKeeper(storage)


class JournalKeeper:
    """Optuna's journal file, each entry written at once and synchronised with others."""

    def __init__(self, path: Path) -> None:
        self._file = _OwnedJournal(path)
        self.optuna: BaseStorage = JournalStorage(self._file)

    def keep(
        self, trial_id: int, values: Mapping[int, float], attributes: Mapping[str, Any]
    ) -> None:
        """Write at once, in this order."""
        for step, value in values.items():
            self.optuna.set_trial_intermediate_value(trial_id, step, value)
        for name, content in attributes.items():
            self.optuna.set_trial_user_attr(trial_id, name, content)

    def flush(self) -> None:
        """Return when the disk has it."""
        self._file.flush()

    def claimed(self, study: str) -> AbstractContextManager[object]:
        """Nothing more: the folder's claim covers the journal in it."""
        return nullcontext()


class _OwnedJournal(JournalFileBackend):
    """A journal that one process writes: the claim of the folder takes the place of a lock file.

    Optuna's own waits 30 s for the lock of a writer that was killed, and waits for the disk at
    every entry. Others may read it meanwhile, its dashboard too.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._descriptor: int | None = None
        self._mutex = Lock()
        self._timer: Timer | None = None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries whole or not at all."""
        content = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with self._mutex:
            if self._descriptor is None:
                self._descriptor = os.open(
                    self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
                )
            before = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, content) != len(content):
                    raise OSError(f"{self._path} could not be written whole: is the disk full?")
            except OSError:
                # The rest of a torn entry would be read as part of the next one.
                os.ftruncate(self._descriptor, before)
                raise
            if self._timer is None:
                self._timer = Timer(BATCH_S, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Synchronise with the disk what is not yet."""
        with self._mutex:
            if self._timer is None or self._descriptor is None:
                return
            self._timer.cancel()
            self._timer = None
            os.fsync(self._descriptor)


def as_rows(trial_id: int, attributes: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """User attributes of a trial as rows of Optuna's table."""
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
