"""Where W&B's server is and whether there is a login, found out on this machine alone."""

import netrc
import os
import socket
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

CONNECT_S = 2.0
"""How long one address of the server may take to accept a connection."""

LONGEST_REASON = 200


def own_settings() -> Any:
    """W&B's settings of this machine, read without the network."""
    import wandb

    return wandb.setup().settings


def require_server(settings: Any) -> None:
    """Finds out within seconds that there is no server; `wandb.init` would try for all its time.

    A proxy is believed to reach it.

    Raises:
        OSError: Nothing accepts a connection at the server's address.
    """
    parts = urlsplit(settings.base_url)
    has_proxy = {parts.scheme, "all"} & getproxies().keys()
    if parts.hostname is None or has_proxy or settings.http_proxy or settings.https_proxy:
        return
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    outcome: list[OSError | None] = []

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error)

    # In a thread: nothing bounds the time that the look-up of a name takes.
    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(3 * CONNECT_S)
    error = outcome[0] if outcome else TimeoutError(f"no answer after {3 * CONNECT_S:g} s")
    if error is not None:
        raise ConnectionError(f"no connection to {parts.hostname}:{port}: {error}") from error


def without_secrets(text: str) -> str:
    """The text as one short line that holds no key of the environment."""
    line = " ".join(text.split())
    secret = os.environ.get("WANDB_API_KEY")
    return (line.replace(secret, "***") if secret else line)[:LONGEST_REASON]


def has_login(settings: Any) -> bool:
    """Whether W&B has credentials for its server, read from this machine alone."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    if settings.api_key or settings.identity_token_file:
        return True
    names = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for path in (Path(name).expanduser() for name in names):
        try:
            if netrc.netrc(path).authenticators(urlsplit(settings.base_url).netloc):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def decide_mode(mode: str) -> str:
    """`auto` as online or offline, without asking the network or the person."""
    settings = own_settings()
    if mode != "auto":
        return mode
    if settings.mode in ("offline", "disabled"):
        return str(settings.mode)
    return "online" if has_login(settings) else "offline"
