"""The driver's end of the pipe to the process that owns the runs of W&B."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any

UPLOADER = "wandb_uploader"

# At the end of the path: beside the package lies a wandb.py.
START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    f"runpy.run_module('{UPLOADER}', run_name='__main__', alter_sys=True)"
)


class UploaderProcess:
    """Starts the uploader, sends it messages and hears what it answers.

    Args:
        folder: Of the study; the files of the runs and the uploader's log go to `folder/wandb`.
        options: Of `Uploader`.
        hear: Receives each answer, on a thread of this object.
    """

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, Any],
        hear: Callable[[Mapping[str, str]], None],
    ) -> None:
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        with (folder / "wandb" / "uploader.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(Path(__file__).parent)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is the driver's to handle
            )
        self._hear = hear
        self._reader = Thread(target=self._read, name="wandb-reader", daemon=True)
        self._reader.start()
        self.send(options)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def _pipe(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message.

        Raises:
            OSError: If the process is gone.
        """
        self._pipe.write(json.dumps(message) + "\n")
        self._pipe.flush()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it came in time. One that is late is killed."""
        with suppress(OSError):
            self._pipe.close()
        try:
            self._process.wait(timeout_s)
            is_over = True
        except subprocess.TimeoutExpired:
            # With it the service of W&B, which shares its process group.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            is_over = False
        self._reader.join(1.0)
        return is_over

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._hear(json.loads(line))


def _environment() -> dict[str, str]:
    """That of this process, without its service of W&B: a failed start stays in use there."""
    inherited = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    return inherited | {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
