"""Ray's token authentication, chosen and set explicitly.

Since 2.60 Ray turns it on by itself for some commands and not for others, and writes a token into
the home folder, so a head and its clients can disagree without anybody having asked for anything.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SOURCES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def private_token() -> dict[str, str]:
    """Returns the environment of a cluster that only this process and its children can use.

    Ray listens on all interfaces of the machine, also for a cluster of one node: without a token,
    anybody who reaches a port may run code.
    """
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def client_mode(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment with which to connect to a cluster of somebody else.

    The user's choice stays; where there is none, a token is used if there is one, as Ray does for
    the address `auto` but not for others.
    """
    if "RAY_AUTH_MODE" in environment:
        return {}
    has_token = any(environment.get(name) for name in _SOURCES) or default_token_file().is_file()
    return {"RAY_AUTH_MODE": "token" if has_token else "disabled"}


def default_token_file() -> Path:
    """Where `ray get-auth-token --generate` writes."""
    return Path.home() / ".ray" / "auth_token"


@contextmanager
def ray_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables, lets Ray read them again, and restores them afterwards."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        _reload()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _reload()


def _reload() -> None:
    # Ray reads mode and token once a process and has no public call to read them again. The order
    # matters: a thread that still drains would look for a token that is gone.
    from ray._raylet import (  # type: ignore[attr-defined]  # compiled, has no types
        AuthenticationTokenLoader,
        Config,
    )

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
