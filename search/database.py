"""A study in a database that Optuna's `RDBStorage` reads: SQLite, PostgreSQL, MySQL.

Optuna commits every value of every report in a transaction of its own. Here the reports of a fifth
of a second share one.
"""

import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from threading import RLock, Timer
from typing import Any, TypeVar

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy import MetaData, Table, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .database_claim import claimed_in_database
from .database_url import VARIABLE, opened_url, shown_database
from .folder import StudyError
from .storage import BATCH_S, as_rows

RETRY_S = 60.0
"""How long a database may be away (a restart, a failover) before the search is interrupted."""

EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}

Result = TypeVar("Result")


class DatabaseKeeper:
    """Optuna's database, with reports written in batches."""

    def __init__(self, storage: str) -> None:
        """Connect, and make Optuna's tables where there are none.

        Raises:
            StudyError: If the driver is missing or the database does not let us in.
        """
        self._shown = shown_database(storage)
        self._database = _connect(storage, self._shown)
        self.engine = self._database.engine
        self.optuna: BaseStorage = get_storage(self._database)
        tables = MetaData()
        self._values = Table("trial_intermediate_values", tables, autoload_with=self.engine)
        self._attributes = Table("trial_user_attributes", tables, autoload_with=self.engine)
        self._waiting: list[tuple[int, dict[int, float], dict[str, Any]]] = []
        self._mutex = RLock()
        self._is_lost = False
        # Drivers complain of connections that are left to the garbage collector.
        weakref.finalize(self, self.engine.dispose)
        self._timer: Timer | None = None

    def keep(
        self, trial_id: int, values: Mapping[int, float], attributes: Mapping[str, Any]
    ) -> None:
        """Write with the next batch."""
        with self._mutex:
            self._waiting.append((trial_id, dict(values), dict(attributes)))
            if self._timer is None:
                self._timer = Timer(BATCH_S, self._flush_quietly)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Commit what waits; a database that is away is waited for.

        Raises:
            StudyError: If it stays away.
        """
        with self._mutex:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self.persistently(self._commit)
            self._waiting.clear()

    def claimed(self, study: str) -> AbstractContextManager[object]:
        """Hold a study for this process, wherever another may try.

        Raises:
            StudyError: If another process holds it; with that one's host and process number.
        """
        return claimed_in_database(self.engine, study)

    def persistently(self, operation: Callable[[], Result]) -> Result:
        """Do it, again for up to `RETRY_S` while the database is away.

        Raises:
            StudyError: If it stays away, or refuses.
        """
        deadline = time.monotonic() + (0.0 if self._is_lost else RETRY_S)
        pause = 0.1
        while True:
            try:
                result = operation()
                self._is_lost = False
                return result
            except DBAPIError as error:
                is_lasting = not (error.connection_invalidated or _is_away(error))
                if is_lasting or time.monotonic() > deadline:
                    raise self._lost(error) from error
            except SQLAlchemyError as error:
                raise self._lost(error) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _lost(self, error: SQLAlchemyError) -> StudyError:
        self._is_lost = True
        return StudyError(f"the storage {self._shown} cannot be used: {_first_line(error)}")

    def _flush_quietly(self) -> None:
        with suppress(StudyError):  # the next start or end of a trial meets it, and says so
            self.flush()

    def _commit(self) -> None:
        """One transaction; a second time it comes to the same rows."""
        with self.engine.begin() as connection:
            if not self._waiting:
                connection.execute(sqlalchemy.text("SELECT 1"))
                return
            for trial_id, values, attributes in _merged(self._waiting):
                if values:
                    mine = self._values.c.trial_id == trial_id
                    connection.execute(
                        self._values.delete().where(mine, self._values.c.step.in_(values))
                    )
                    connection.execute(
                        self._values.insert(),
                        [
                            {
                                "trial_id": trial_id,
                                "step": step,
                                "intermediate_value": value,
                                "intermediate_value_type": "FINITE",
                            }
                            for step, value in values.items()
                        ],
                    )
                if attributes:
                    mine = self._attributes.c.trial_id == trial_id
                    connection.execute(
                        self._attributes.delete().where(
                            mine, self._attributes.c.key.in_(attributes)
                        )
                    )
                    connection.execute(
                        self._attributes.insert(), list(as_rows(trial_id, attributes))
                    )


def _merged(
    waiting: list[tuple[int, dict[int, float], dict[str, Any]]],
) -> list[tuple[int, dict[int, float], dict[str, Any]]]:
    """One entry a trial; of what was written twice, the last."""
    merged: dict[int, tuple[dict[int, float], dict[str, Any]]] = {}
    for trial_id, values, attributes in waiting:
        kept = merged.setdefault(trial_id, ({}, {}))
        kept[0].update(values)
        kept[1].update(attributes)
    return [(trial_id, *kept) for trial_id, kept in merged.items()]


def _connect(storage: str, shown: str) -> RDBStorage:
    url = opened_url(storage)
    kind = url.get_backend_name()
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if kind == "sqlite":
        arguments = {"connect_args": {"timeout": 60.0}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            database = RDBStorage(url.render_as_string(hide_password=False), arguments)
    except ImportError as error:
        extra = EXTRAS.get(kind, kind)
        raise StudyError(
            f"the storage {shown} needs a driver: pip install 'tripletune[{extra}]'"
        ) from error
    except SQLAlchemyError as error:
        raise StudyError(
            f"the storage {shown} cannot be used: {_first_line(error)}. A password is read from "
            f"{VARIABLE} (the whole URL), PGPASSWORD, ~/.pgpass or MYSQL_PWD"
        ) from error
    if kind == "sqlite":
        # A commit then waits for the disk once, and readers do not stop the writer.
        event.listen(database.engine, "connect", _use_write_ahead_log)
        database.engine.dispose()
    return database


def _use_write_ahead_log(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _is_away(error: DBAPIError) -> bool:
    """Whether it may come back: a lock of SQLite's, or what drivers call operational."""
    if "sqlite3" in type(error.orig).__module__:
        return "locked" in str(error.orig)
    return isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300]
