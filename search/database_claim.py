"""Holds a study in a database for one process, wherever the other one may run."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Final

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError

from .folder import StudyError
from .ownership import Owner

KEY: Final = "owner"
"""The study's attribute that names its owner."""

HEARTBEAT_S: Final = 15.0

STALE_S: Final = 90.0
"""After so long without a sign, an owner on another machine is taken to be dead."""


@contextmanager
def claimed_in_database(engine: Engine, name: str) -> Iterator[Owner]:
    """Hold a study until the end, with a sign of life every `HEARTBEAT_S` seconds.

    Args:
        engine: Of the database.
        name: Of the study.

    Yields:
        The owner, which is this process.

    Raises:
        StudyError: If another process runs it; with that one's host and process number.
    """
    tables = MetaData()
    studies = Table("studies", tables, autoload_with=engine)
    attributes = Table("study_user_attributes", tables, autoload_with=engine)
    owner = Owner.this_process()

    def locked(connection: Connection) -> int:
        """The study's id; its row is locked until the transaction ends, in every database."""
        mine = studies.c.study_name == name
        connection.execute(studies.update().where(mine).values(study_name=name))
        return int(connection.execute(studies.select().where(mine)).one().study_id)

    def holder(connection: Connection, study_id: int) -> Owner | None:
        row = connection.execute(
            attributes.select().where(attributes.c.study_id == study_id, attributes.c.key == KEY)
        ).one_or_none()
        content = json.loads(row.value_json) if row is not None else None
        return Owner(**content) if content else None

    def write(connection: Connection, study_id: int, content: str) -> None:
        mine = (attributes.c.study_id == study_id, attributes.c.key == KEY)
        connection.execute(attributes.delete().where(*mine))
        connection.execute(
            attributes.insert().values(study_id=study_id, key=KEY, value_json=content)
        )

    with engine.begin() as connection:
        study_id = locked(connection)
        other = holder(connection, study_id)
        if other is not None and not other.is_dead(stale_s=STALE_S):
            raise StudyError(
                f"study {name} is being run by {other}, which was seen "
                f"{time.time() - other.seen:.0f} s ago: stop that one first"
            )
        write(connection, study_id, json.dumps(owner.to_dict()))

    ended = Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_S):
            # A database that is away is the writer's matter; the next beat may find it.
            with suppress(SQLAlchemyError), engine.begin() as connection:
                locked(connection)
                now = holder(connection, study_id)
                if now is not None and now.token == owner.token:
                    alive = replace(owner, seen=time.time())
                    write(connection, study_id, json.dumps(alive.to_dict()))

    thread = Thread(target=beat, name="study-heartbeat", daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        ended.set()
        thread.join()
        with suppress(SQLAlchemyError), engine.begin() as connection:
            locked(connection)
            now = holder(connection, study_id)
            if now is not None and now.token == owner.token:
                write(connection, study_id, "null")
