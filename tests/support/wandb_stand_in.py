"""The stand-in W&B server as a test sees it: a process that can be made to fail, or killed."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

KEY = "k3y" * 13 + "z"
"""As long as a real one; W&B's client refuses others."""

LONG_S = 120.0
"""Of waits that normally end in a second or two; the cores may be busy."""

Fault = Literal["none", "refuse", "503", "429", "hang", "slow", "key"]


class StandIn:
    """Started on two free loopback ports; see `wandb_server.py`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("wandb_server.py"))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url, self.control = self.process.stdout.readline().split()

    def everything(self, path: str = "/") -> dict[str, Any]:
        """All that was received; `/wait/runs/N` first waits until N runs are known."""
        with urllib.request.urlopen(self.control + path, timeout=LONG_S) as answer:
            return dict(json.load(answer))

    def received(self, path: str = "/") -> dict[str, dict[str, Any]]:
        """Runs by the last part of their id: a trial's number, or `study`."""
        runs = self.everything(path)["runs"]
        return {name.rsplit("-", 1)[1]: {"id": name, **run} for name, run in runs.items()}

    def fault(self, kind: Fault) -> None:
        """Make it fail, or work again."""
        self._post("/fault", {"kind": kind})

    def change(self, **wanted: Any) -> None:
        """Plant a difference; see `Control.change`."""
        self._post("/change", wanted)

    def kill(self) -> None:
        """Take it down for good."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def environment(self) -> dict[str, str]:
        """What makes a client of W&B use it."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def _post(self, path: str, content: dict[str, Any]) -> None:
        request = urllib.request.Request(self.control + path, json.dumps(content).encode())
        urllib.request.urlopen(request, timeout=LONG_S).close()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """One that is gone afterwards."""
    standing = StandIn()
    try:
        yield standing
    finally:
        standing.kill()


def hide_account(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Hide the login and the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            patch.delenv(name)
    patch.setenv("NETRC", str(folder / "netrc"))
    patch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    patch.setenv("WANDB_CACHE_DIR", str(folder / "cache"))
    patch.setenv("WANDB_DATA_DIR", str(folder / "data"))
