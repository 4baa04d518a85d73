"""Weights & Biases: one run per trial and one per study, from one process beside the driver.

The driver's side. A call puts a message on a bounded queue and returns; a thread turns messages
into lines on a pipe; the process at its other end (`wandb_uploader`) talks to W&B. The process
ends with the driver, however that ends: its pipe closes.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from ...trainables.report import Report
from ..folder import StudyFolder, write_text
from ..records import TrialRecord
from .run_content import StudyContent, report_row, study_content, trial_content, trial_summary
from .run_identity import URL_FILE, RunIdentity
from .uploader_process import UploaderProcess

if TYPE_CHECKING:
    from ..study import Study

Mode = Literal["auto", "online", "offline"]
MODES: tuple[Mode, ...] = ("auto", "online", "offline")

MAX_WAITING_REPORTS = 20_000
"""Bound of the queue; a report takes about half a kilobyte."""

Started = tuple[Literal["started"], TrialRecord]
Reported = tuple[Literal["reported"], int, int, Report]
Ended = tuple[Literal["ended"], TrialRecord]
StudyEnded = tuple[Literal["study"], StudyContent]
Close = tuple[Literal["close"], float]
"""With the time, on the clock of `time.time`, until which uploads may go on."""

Message = Started | Reported | Ended | StudyEnded | Close


def print_to_stderr(text: str) -> None:
    """The default place of warnings."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")


def require_project(project: str) -> None:
    """Refuse a project that W&B would refuse.

    Raises:
        ValueError: With the rule and the value.
    """
    if not project or re.search(r"[/\\#?%:]", project):
        raise ValueError(f"project must be a name without / \\ # ? % :, got project={project!r}")


class WandbTracker:
    """Follows a search with one W&B run per trial, grouped by the study, and one for the study.

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
        require_project(project)
        for tag in tags:
            if not 1 <= len(tag) <= 64:
                raise ValueError(f"a tag must have 1 to 64 characters, got {tag!r}")
        self._study_name = study_name
        self._folder = folder.absolute()
        self._tags = tuple(tags)
        self._warn = warn
        self._options = {
            "folder": str(self._folder),
            "project": project,
            "mode": mode,
            "may_fall_back": True,
            "init_timeout_s": init_timeout_s,
            "finish_timeout_s": finish_timeout_s,
        }
        with suppress(OSError):  # known at once, for links; the writer's thread says if it fails
            RunIdentity.of(study_name, self._folder)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._crowded: set[int] = set()
        self._open: dict[int, TrialRecord] = {}
        self._process: UploaderProcess | None = None
        self._is_closed = False
        self._has_failed = False
        self._has_url = False
        self._writer = Thread(target=self._write_messages, name="wandb-writer", daemon=True)
        self._writer.start()

    def run_id(self, number: int) -> str:
        """Id of a trial's run."""
        return RunIdentity.of(self._study_name, self._folder).trial(number)

    @property
    def sync_command(self) -> str:
        """What completes this study in W&B later."""
        return StudyFolder(self._folder).command("wandb sync")

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
        self._put(("reported", number, attempt, report))

    def trial_ended(self, record: TrialRecord) -> None:
        """Completes the run of a trial with its state, and its failure if it failed."""
        self._crowded.discard(record.number)
        self._put(("ended", record))

    def study_ended(self, study: "Study") -> None:
        """Logs the leaderboard, its plots and the exported model to the study's own run."""
        identity = RunIdentity.of(self._study_name, self._folder, self._tags)
        self._put(("study", study_content(study, identity)))

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
        if not self._process.wait(max(0.0, deadline - time.monotonic())):
            self._warn(
                f"W&B did not answer in time and was ended: its runs in {self._folder}/wandb may "
                f"lack reports, the study lacks none; complete W&B later with "
                f"`{self.sync_command}`"
            )

    def _put(self, message: Message) -> None:
        if not self._is_closed and not self._has_failed:
            self._messages.put(message)

    def _write_messages(self) -> None:
        """Starts the uploader and sends what is on the queue, until `close`."""
        try:
            self._process = UploaderProcess(self._folder, self._options, self._hear)
            identity = RunIdentity.of(self._study_name, self._folder, self._tags)
            while True:
                message = self._messages.get()
                data = self._as_data(message, identity)
                if data is not None:
                    self._process.send(data)
                if message[0] == "close":
                    return
        except Exception as error:  # the edge of the tracker: a search never ends with it
            self._has_failed = True
            if not self._is_closed:
                self._warn(
                    f"W&B tracking ended early ({type(error).__name__}: {error}); the search goes "
                    f"on and its own results are complete"
                )

    def _hear(self, answer: Mapping[str, str]) -> None:
        if "warning" in answer:
            self._warn(f"{answer['warning']}; complete W&B later with `{self.sync_command}`")
        elif "url" in answer and not self._has_url:
            self._has_url = True
            with suppress(OSError):
                write_text(self._folder / URL_FILE, answer["url"])

    def _as_data(self, message: Message, identity: RunIdentity) -> dict[str, Any] | None:
        """A message as the uploader reads it; on the writer's thread."""
        match message:
            case ("started", record):
                self._open[record.number] = record
                content = trial_content(record, identity)
                opening = content.opening()
                return {"kind": "open", "summary": dict(content.summary), **opening}
            case ("reported", number, attempt, report):
                if number not in self._open:  # its end will bring all reports
                    return None
                record = self._open[number]
                record = replace(record, attempts=attempt, reports=(*record.reports, report))
                self._open[number] = record
                return {
                    "kind": "row",
                    "id": identity.trial(number),
                    "row": asdict(report_row(report)),
                    # What the run ends with should nobody be there to end it.
                    "summary": trial_summary(record),
                }
            case ("ended", record):
                self._open.pop(record.number, None)
                return {"kind": "end", **trial_content(record, identity).to_message()}
            case ("study", content):
                return {"kind": "end", **content.to_message()}
            case ("close", deadline):
                return {"kind": "close", "deadline": deadline}
