"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "tripletune"
PASSWORD = "s3cret-of-the-tests"
"""The server asks for it, so that a test can look where it went."""


def binaries() -> Path | None:
    """The folder of the server's programs; distributions keep them out of PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server until the end.

    Args:
        folder: For its files; its path must be short, as that of a socket.

    Yields:
        Its URL without the password.
    """
    programs = binaries()
    assert programs is not None
    data, log = folder / "data", folder / "log"
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        subprocess.run(["chown", "-R", "postgres", str(folder)], check=True)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run = {"check": True, "stdin": subprocess.DEVNULL, "cwd": folder}
    quiet = {"stdout": subprocess.DEVNULL}
    initialise = [programs / "initdb", "-D", data, "-U", USER, f"--pwfile={secret}"]
    initialise += ["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run([*as_user, *map(str, initialise)], **run, **quiet)  # type: ignore[call-overload]
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c port=5432"
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(log)]
    subprocess.run([*control, "-o", options, "start"], **run, **quiet)  # type: ignore[call-overload]
    try:
        yield f"postgresql://{USER}@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run, **quiet)  # type: ignore[call-overload]
