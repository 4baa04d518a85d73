"""Weights & Biases: one run per trial, from one process beside the driver.

The driver's side. A call puts a message on a bounded queue and returns; a thread turns messages
into lines on a pipe; the process at its other end (`uploader.py`) talks to W&B. The process ends
with the driver, however that ends: its pipe closes.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Literal

from ...trainables.report import Report
from ..folder import write_text
from ..records import TrialRecord

Mode = Literal["auto", "online", "offline"]
MODES: tuple[Mode, ...] = ("auto", "online", "offline")

MAX_WAITING_REPORTS = 20_000
"""Bound of the queue; a report takes about half a kilobyte."""

Started = tuple[Literal["started"], TrialRecord]
Reported = tuple[Literal["reported"], int, Report]
Ended = tuple[Literal["ended"], TrialRecord]
Close = tuple[Literal["close"], float]
"""With the time, on the clock of `time.time`, until which uploads may go on."""


def print_to_stderr(text: str) -> None:
    """The default place of warnings."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")


class WandbTracker:
    """Follows a search with one W&B run per trial, grouped by the study.

    A run keeps its id when a study is resumed: the server's copy goes on after its last step
    (W&B drops steps at or below it, so the first attempt's values stay), and an offline copy
    repeats the trial from its first report.

    When the uploads cannot keep up, reports of a trial wait for its end, which carries them all.

    Args:
        study_name: Group of the runs.
        folder: Of the study; the files of the runs go to `folder/wandb`.
        project: Of W&B; any name without slashes and # ? % :
        mode: `auto` is online where W&B has a login on this machine, else offline; nothing is
            asked of the network or the person for that.
        tags: Of every run, 1 to 64 characters each; loss and miner are added.
        warn: Receives the warnings, at most a few lines a search, on a thread of the tracker.
        init_timeout_s: Longest wait for the server at the start of a run; after a failure the
            runs are written as offline files.
        finish_timeout_s: Longest wait for the uploads of a run that ended.

    Raises:
        ValueError: A mode, project or tag that W&B would refuse.
    """

    def __init__(
        self,
        study_name: str,
        folder: Path,
        project: str = "tripletune",
        mode: Mode = "auto",
        tags: Sequence[str] = (),
        *,
        warn: Callable[[str], None] = print_to_stderr,
        init_timeout_s: float = 20.0,
        finish_timeout_s: float = 15.0,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got mode={mode!r}")
        if not project or re.search(r"[/\\#?%:]", project):
            raise ValueError(
                f"project must be a name without / \\ # ? % :, got project={project!r}"
            )
        for tag in tags:
            if not 1 <= len(tag) <= 64:
                raise ValueError(f"a tag must have 1 to 64 characters, got {tag!r}")
        self._folder = folder.absolute()
        self._tags = tuple(tags)
        self._warn = warn
        self._options = {
            "study": study_name,
            "folder": str(self._folder),
            "project": project,
            "mode": mode,
            "init_timeout_s": init_timeout_s,
            "finish_timeout_s": finish_timeout_s,
        }
        self._messages: SimpleQueue[Started | Reported | Ended | Close] = SimpleQueue()
        self._crowded: set[int] = set()
        self._process: subprocess.Popen[str] | None = None
        self._is_closed = False
        self._has_failed = False
        self._writer = Thread(target=self._write_messages, name="wandb-writer", daemon=True)
        self._reader = Thread(target=self._read_warnings, name="wandb-reader", daemon=True)
        self._writer.start()

    @property
    def sync_command(self) -> str:
        """What uploads the files of this study later."""
        return f"wandb sync {self._folder}/wandb/*run-*"

    @property
    def process_id(self) -> int | None:
        """Of the uploader, once it runs."""
        return self._process.pid if self._process else None

    def trial_started(self, record: TrialRecord) -> None:
        """Opens the run of a trial, or continues it."""
        self._put(("started", record))

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """Logs one evaluation."""
        if number in self._crowded or self._messages.qsize() >= MAX_WAITING_REPORTS:
            self._crowded.add(number)  # steps must grow, so the later ones wait as well
            return
        self._put(("reported", number, report))

    def trial_ended(self, record: TrialRecord) -> None:
        """Completes the run of a trial with its state, and its failure if it failed."""
        self._crowded.discard(record.number)
        self._put(("ended", record))

    def close(self, timeout_s: float) -> None:
        """Waits for the uploads, at most about `timeout_s`; marks running trials interrupted."""
        if self._is_closed:
            return
        deadline = time.monotonic() + timeout_s
        # The uploader gives up first, and says so.
        self._put(("close", time.time() + max(0.0, timeout_s - 1.0)))
        self._is_closed = True
        self._writer.join(timeout_s)
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._end_process(self._process)
            self._warn(
                f"W&B did not answer in time and was ended: its runs in {self._folder}/wandb may "
                f"lack reports, the study lacks none; upload what there is with "
                f"`{self.sync_command}`"
            )
        if self._reader.ident is not None:
            self._reader.join(1.0)

    def _put(self, message: Started | Reported | Ended | Close) -> None:
        if not self._is_closed and not self._has_failed:
            self._messages.put(message)

    def _write_messages(self) -> None:
        """Starts the uploader and sends what is on the queue, until `close`."""
        try:
            with self._start_process() as pipe:
                while True:
                    message = self._messages.get()
                    pipe.write(json.dumps(self._as_data(message)) + "\n")
                    pipe.flush()
                    if message[0] == "close":
                        return
        except Exception as error:  # the edge of the tracker: a search never ends with it
            self._has_failed = True
            if not self._is_closed:
                self._warn(
                    f"W&B tracking ended early ({type(error).__name__}: {error}); the search goes "
                    f"on and its own results are complete"
                )

    def _start_process(self) -> IO[str]:
        (self._folder / "wandb").mkdir(parents=True, exist_ok=True)
        options = self._options | {"id_prefix": self._id_prefix()}
        with (self._folder / "wandb" / "uploader.log").open("w") as log:
            self._process = subprocess.Popen(
                # -P: beside uploader.py lies a wandb.py.
                [sys.executable, "-P", str(Path(__file__).with_name("uploader.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=os.environ | {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
                start_new_session=True,  # Ctrl-C in the terminal is the driver's to handle
            )
        assert self._process.stdin is not None
        self._reader.start()
        self._process.stdin.write(json.dumps(options) + "\n")
        return self._process.stdin

    def _read_warnings(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._warn(json.loads(line)["warning"])

    def _end_process(self, process: "subprocess.Popen[str]") -> None:
        """Ends the uploader and the service of W&B, which shares its process group."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _id_prefix(self) -> str:
        """First part of the run ids: the study's name and a token that stays in its folder."""
        path = self._folder / "wandb-id"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", str(self._options["study"]))[:40]
        return f"{name}-{path.read_text().strip()}"

    def _as_data(self, message: Started | Reported | Ended | Close) -> dict[str, object]:
        """A message as the uploader reads it."""
        match message:
            case ("started" | "ended" as kind, record):
                return {
                    "kind": kind,
                    "number": record.number,
                    "trial": self._trial_data(record),
                }
            case ("reported" as kind, number, report):
                return {"kind": kind, "number": number, "report": report.to_dict()}
            case (kind, deadline):
                return {"kind": kind, "deadline": deadline}

    def _trial_data(self, record: TrialRecord) -> dict[str, object]:
        objective = record.recipe.objective
        return {
            "number": record.number,
            "state": record.state,
            "loss": objective.loss.name,
            "miner": objective.miner.name,
            "tags": [*self._tags, objective.loss.name, objective.miner.name],
            "recipe": record.recipe.to_dict(),
            "reports": [report.to_dict() for report in record.reports],
            "attempts": record.attempts,
            "failure": record.failure,
        }
