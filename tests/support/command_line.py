"""The real command line in a process of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONG_S = 600.0
"""Of waits that normally end in seconds; the cores may be busy."""


def environment(**changes: str) -> dict[str, str]:
    """That of this process, without a Ray or a W&B login of somebody's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "WANDB_", "TUNE_"))
    }
    return inherited | {"PYTHONPATH": str(ROOT / ".pkg"), "COLUMNS": "200"} | changes


def tripletune(
    *arguments: str | Path, cwd: Path, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tripletune", *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


class Running:
    """A command that runs, with the lines it printed so far; a group of its own, as in a shell."""

    def __init__(self, *arguments: str | Path, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tripletune", *map(str, arguments)],
            cwd=cwd,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything printed that was waited for."""
        return "".join(self.lines)

    def wait_for(self, is_it: Callable[[str], bool]) -> str:
        """The next line that fits; fails if the command ends before."""
        while True:
            line = self._queue.get(timeout=LONG_S)
            assert line is not None, f"ended with {self.process.wait()} after:\n{self.text}"
            self.lines.append(line)
            if is_it(line):
                return line

    def wait(self) -> tuple[int, float]:
        """Exit status, and how many seconds it took from now."""
        start = time.monotonic()
        status = self.process.wait(timeout=LONG_S)
        seconds = time.monotonic() - start
        while (line := self._queue.get(timeout=LONG_S)) is not None:
            self.lines.append(line)
        self._reader.join()
        return status, seconds

    def send_to_group(self, number: signal.Signals) -> None:
        """Signal the command and its children, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End the command with no chance to tidy up."""
        self.process.kill()
        self.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._queue.put(line)
        self._queue.put(None)
