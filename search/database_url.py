"""Where a study's trials are kept: a journal in its folder, or a database by its URL.

A URL that is stored or shown never holds a password. The password comes from the environment: from
`TRIPLETUNE_DATABASE`, which holds the whole URL, or by the database's own means (`PGPASSWORD`,
`~/.pgpass`, `MYSQL_PWD`).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

JOURNAL: Final = "journal"

VARIABLE: Final = "TRIPLETUNE_DATABASE"
"""The environment's default of `--database`, which may hold a password."""

DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
}
"""What a bare scheme means; one that names its driver (`postgresql+psycopg2`) stays as it is."""

_SECRET_KEYS = frozenset({"password", "passwd", "sslpassword"})


def default_database() -> str:
    """What the environment names, without its password; else the journal.

    Raises:
        ValueError: If it names nothing that a study can be kept in.
    """
    named = os.environ.get(VARIABLE)
    return checked_database(_without_password(named)) if named else JOURNAL


def checked_database(database: str) -> str:
    """A database as a study keeps it: `journal`, or a URL with its driver and full paths.

    Raises:
        ValueError: If it is neither, is in memory, or holds a password.
    """
    if database == JOURNAL:
        return database
    url = _parsed(database)
    if url.password is not None or _SECRET_KEYS & url.query.keys():
        # A command line is read by `ps`, and kept by Ray in its table of jobs.
        raise ValueError(
            f"database must hold no password, got {shown_database(database)}: everyone on this "
            f"machine can read a command line. Set {VARIABLE} to the whole URL, or give the "
            "password by PGPASSWORD, ~/.pgpass or MYSQL_PWD"
        )
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise ValueError(f"database must be a file, such as sqlite:///runs.db, got {database}")
        url = url.set(database=str(Path(str(url.database)).expanduser().resolve()))
    elif not url.database:
        raise ValueError(f"database must have a name after the host, got {database}")
    return url.render_as_string(hide_password=False)


def shown_database(database: str) -> str:
    """A database for a message: whatever it holds, no password."""
    return database if database == JOURNAL else _without_password(database)


def opened_url(database: str) -> "URL":
    """The URL to connect with: with the password of the environment, where it has one."""
    url = _parsed(database)
    named = os.environ.get(VARIABLE)
    if named:
        whole = _parsed(named)
        if checked_database(_without_password(named)) == database:
            return url.set(password=whole.password, query=whole.query)
    if url.get_backend_name() == "mysql" and os.environ.get("MYSQL_PWD"):
        return url.set(password=os.environ["MYSQL_PWD"])
    return url


def _parsed(database: str) -> "URL":
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = database.partition(":")[0]
    try:
        url = make_url(database)
    except ArgumentError:
        url = None
    if url is None or scheme.partition("+")[0] not in DRIVERS:
        known = ", ".join(f"{name}://" for name in DRIVERS if name != "postgres")
        raise ValueError(f"database must be journal or a URL of {known}, got {scheme!r}")
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _without_password(database: str) -> str:
    url = _parsed(database)
    query = {key: value for key, value in url.query.items() if key not in _SECRET_KEYS}
    # `set` takes None as "leave it", so the URL is made anew.
    bare = type(url).create(
        url.drivername, url.username, None, url.host, url.port, url.database, query
    )
    return bare.render_as_string(hide_password=False)
