"""Writes what it is told into runs of W&B: it knows no trials, only runs, rows and summaries."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import IO, Any

from .login import own_settings, require_server, without_secrets
from .study_run import log_study

# As `run_content` in the package builds them.
Message = dict[str, Any]

TRANSMIT_S = 15.0
"""Seconds between two sendings of one open run."""

TRANSMIT_S_PER_RUN = 2.0
"""The same for each open run: the server limits the requests of a project, not of a run."""


@dataclass
class OpenRun:
    """A run between its start and its end, with what a new one in its place would repeat.

    Attributes:
        content: Id, name, group, job type, tags, config.
        rows: Of its history so far, by growing steps.
        summary: As it would be, were the run cut off now.
        run: Of the W&B client; None while it could not be opened.
        next_step: Rows below it are known to W&B.
    """

    content: Message
    rows: list[Message]
    summary: Message
    run: Any = None
    next_step: int = 0


@dataclass
class Uploader:
    """Keeps the runs; falls back to offline files when the server cannot be had.

    Attributes:
        folder: The files of the runs go to `folder/wandb`.
        project: Of W&B.
        mode: `online`, `offline` or `disabled`; changes to `offline` at the first failure.
        may_fall_back: Whether offline files are of use; an upload of what is known has none.
        init_timeout_s: Longest wait for the server at the start of a run.
        finish_timeout_s: Longest wait for the uploads of a run that ended.
        output: Takes one JSON object a line: `opened`, `finished`, `failed`, `warning`.
    """

    folder: str
    project: str
    mode: str
    may_fall_back: bool
    init_timeout_s: float
    finish_timeout_s: float
    output: IO[str]
    runs: dict[str, OpenRun] = field(default_factory=dict)
    finishing: dict[str, Thread] = field(default_factory=dict)
    has_warned: bool = False
    has_connected: bool = False
    lock: Lock = field(default_factory=Lock)

    def open(self, content: Message, rows: list[Message], summary: Message) -> None:
        """Opens a run and logs the rows that an interrupted one already had."""
        key = content["id"]
        if key in self.runs:
            return
        if key in self.finishing:
            self.finishing.pop(key).join()  # a run id is free once its run is finished
        opened = OpenRun(content, list(rows), summary)
        self.runs[key] = opened
        self.begin(opened)

    def log_row(self, key: str, row: Message, summary: Message) -> None:
        """Logs one row of an open run."""
        if key in self.runs:
            opened = self.runs[key]
            opened.rows.append(row)
            opened.summary = summary
            self.log(opened, row)

    def end(self, message: Message) -> None:
        """Logs what is missing, writes the summary and finishes the run in the background."""
        content = message["run"]
        self.open(content, message["rows"], message["summary"])  # unless it was opened before
        opened = self.runs.pop(content["id"])
        for row in message["rows"]:
            self.log(opened, row)
        opened.summary = message["summary"]
        self.finish(opened, message)

    def close(self, deadline: float) -> None:
        """Finishes every run; those that are still open are interrupted and go on later.

        Args:
            deadline: Of the uploads, on the clock of `time.time`.
        """
        for key, opened in self.runs.items():
            try:
                self.finish(opened, {"exit_code": 1, "is_interrupted": True})
            except Exception as error:  # the edge of one run: the others go on
                self.warn_of_failure(key, error)
        self.runs.clear()
        for thread in self.finishing.values():
            thread.join(max(0.0, deadline - time.time()))
        if any(thread.is_alive() for thread in self.finishing.values()):
            self.warn_of_upload("not done at the end of the search")

    def begin(self, opened: OpenRun) -> None:
        """Initialises a run, online where that works."""
        mode = self.mode  # a finishing thread may change it meanwhile
        try:
            if mode == "online" and not self.has_connected:
                require_server(own_settings())
                self.has_connected = True
            opened.run = self.init(opened.content, mode)
        except Exception as error:
            if mode != "online":
                raise
            if self.may_fall_back:
                self.go_offline(error)
            else:
                self.tell(failed=opened.content["id"], reason=without_secrets(str(error)))
            return
        if mode == "online":
            self.tell(opened=opened.content["id"], url=opened.run.project_url)
        opened.next_step = opened.run.starting_step
        for row in opened.rows:
            self.log(opened, row)

    def go_offline(self, error: Exception) -> None:
        """Opens all runs again as offline files, from their first row.

        A failed `init` keeps its run id in use until the service of W&B ends
        ("run ID ... is in use", wandb 0.31), and the other open runs end with it.
        """
        import wandb

        self.mode = "offline"
        self.warn_of_upload(str(error))
        wandb.teardown()
        for opened in self.runs.values():
            opened.run, opened.next_step = None, 0
        for opened in self.runs.values():
            self.begin(opened)

    def init(self, content: Message, mode: str) -> Any:
        """A new run beside the others of this process, or the continued run of the same id."""
        import wandb

        # The open run that is begun stands in `runs` already.
        interval_s = max(TRANSMIT_S, TRANSMIT_S_PER_RUN * len(self.runs))
        optional = {
            # A trial trains in another process, mostly on another machine: what W&B would
            # measure here is this uploader. Trials measure themselves.
            "x_disable_stats": True,
            "x_disable_meta": True,
            "x_save_requirements": False,
            "x_transaction_log_flush_interval": 1.0,
            "x_file_stream_transmit_interval": interval_s,
        }
        known = wandb.Settings.model_fields
        settings = wandb.Settings(
            silent=True,
            console="off",
            save_code=False,
            disable_code=True,
            disable_git=True,
            init_timeout=self.init_timeout_s,
            finish_timeout=self.finish_timeout_s,
            finish_timeout_raises=True,
            **{name: value for name, value in optional.items() if name in known},
        )
        run = wandb.init(
            project=self.project,
            id=content["id"],
            name=content["name"],
            group=content["group"],
            job_type=content["job_type"],
            config=content["config"],
            tags=content["tags"],
            dir=self.folder,
            mode=mode,  # type: ignore[arg-type]  # the driver checks the word
            resume="allow",
            reinit="create_new",
            settings=settings,
        )
        if run.resumed:  # the server's old values would win over those of `init`
            change: Any = run.config.update  # W&B annotates it in part
            change(content["config"], allow_val_change=True)
            run.tags = tuple(content["tags"])
        return run

    def log(self, opened: OpenRun, row: Message) -> None:
        """Logs a row, unless its step was logged before: W&B would drop it."""
        step = row["step"]
        if opened.run is None or step < opened.next_step:
            return
        opened.run.log(row["values"], step=step, commit=True)
        opened.next_step = step + 1

    def finish(self, opened: OpenRun, message: Message) -> None:
        """Writes the summary and finishes the run in a thread: an upload may take its time."""
        if opened.run is None:
            return
        if message.get("study"):
            log_study(opened.run, message["study"])
        opened.run.summary.update(opened.summary)
        if message["is_interrupted"]:
            opened.run.mark_preempting()
        key = opened.content["id"]
        arguments = (key, opened.run, message["exit_code"])
        thread = Thread(target=self.finish_run, args=arguments, daemon=True)
        thread.start()
        self.finishing[key] = thread

    def finish_run(self, key: str, run: Any, exit_code: int) -> None:
        """Waits for the uploads of one run; when they cannot be made, later runs are offline."""
        try:
            run.finish(exit_code=exit_code)
            self.tell(finished=key)
        except Exception as error:
            if self.may_fall_back and self.mode == "online":
                self.mode = "offline"
            self.tell(failed=key, reason=without_secrets(str(error)))
            self.warn_of_upload(str(error))

    def warn_of_upload(self, reason: str) -> None:
        """Says where the files are; the driver adds the command that uploads them."""
        self.warn(
            f"W&B could not upload ({without_secrets(reason)}); its runs are kept in "
            f"{self.folder}/wandb"
        )

    def warn_of_failure(self, key: str, error: Exception) -> None:
        """Says that W&B itself failed for a run, which the search does not mind."""
        self.tell(failed=key, reason=without_secrets(str(error)))
        self.warn(
            f"W&B failed at run {key} ({without_secrets(str(error))}); the search goes on and its "
            "own results are complete"
        )

    def warn(self, text: str) -> None:
        """Sends the first warning of a search to the driver; the others would repeat it."""
        with self.lock:
            if self.has_warned:
                return
            self.has_warned = True
        self.tell(warning=text)

    def tell(self, **content: str) -> None:
        """Sends one line to the driver; one that died reads nothing."""
        with self.lock, suppress(OSError):
            print(json.dumps(content), file=self.output)
