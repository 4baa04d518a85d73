"""The process that owns every Weights & Biases run of a search.

Run as a file, not as a module: it needs nothing of the package, whose imports would only cost it
memory. It reads one JSON message a line from standard input, until `close` or until its parent is
gone, and writes warnings to standard output, one JSON object a line. It inherits the login and the
settings of W&B from its environment; none of them passes through the messages.
"""

import json
import math
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

# The reports and the trials of the messages: `tracker messages` in wandb.py builds them.
Message = dict[str, Any]

ORPHANED_CLOSE_S = 20.0
"""How long uploads may take when the driver died without closing."""

CONNECT_S = 2.0
"""How long one address of the server may take to accept a connection."""


@dataclass
class OpenTrial:
    """A trial between its start and its end, with what a new run of it would have to repeat."""

    trial: Message
    reports: list[Message]
    run: Any = None
    next_step: int = 0


@dataclass
class Uploader:
    """Keeps one run per trial; falls back to offline files when the server cannot be had."""

    study: str
    folder: str
    project: str
    mode: str
    id_prefix: str
    init_timeout_s: float
    finish_timeout_s: float
    output: IO[str]
    trials: dict[int, OpenTrial] = field(default_factory=dict)
    finishing: dict[int, Thread] = field(default_factory=dict)
    has_warned: bool = False
    has_connected: bool = False
    lock: Lock = field(default_factory=Lock)

    def started(self, trial: Message) -> None:
        """Opens the trial's run and logs the reports that an interrupted trial already had."""
        number = trial["number"]
        if number in self.trials:
            return
        if number in self.finishing:
            self.finishing.pop(number).join()  # a run id is free once its run is finished
        self.trials[number] = OpenTrial(trial, list(trial["reports"]))
        self.open_run(self.trials[number])

    def reported(self, number: int, report: Message) -> None:
        """Logs one report of an open trial."""
        if number in self.trials:
            self.trials[number].reports.append(report)
            self.log(self.trials[number], report)

    def ended(self, trial: Message) -> None:
        """Logs what is missing, writes the summary and finishes the run in the background."""
        self.started(trial)  # nothing, unless its start never came
        opened = self.trials.pop(trial["number"])
        for report in trial["reports"]:
            self.log(opened, report)
        self.finish(opened, trial, trial["state"])

    def close(self, deadline: float) -> None:
        """Finishes every run; trials that are still open are interrupted and go on later.

        Args:
            deadline: Of the uploads, on the clock of `time.time`.
        """
        for number, opened in self.trials.items():
            try:
                self.finish(opened, opened.trial | {"reports": opened.reports}, "interrupted")
            except Exception as error:  # the edge of one run: the others go on
                self.warn_of_failure(number, error)
        self.trials.clear()
        for thread in self.finishing.values():
            thread.join(max(0.0, deadline - time.time()))
        if any(thread.is_alive() for thread in self.finishing.values()):
            self.warn_of_upload("not done at the end of the search")

    def open_run(self, opened: OpenTrial) -> None:
        """Initialises the run of a trial, online where that works."""
        mode = self.mode  # a finishing thread may change it meanwhile
        try:
            if mode == "online" and not self.has_connected:
                require_server(own_settings())
                self.has_connected = True
            opened.run = self.init(opened.trial, mode)
        except Exception as error:
            if mode != "online":
                raise
            self.go_offline(error)
            return
        opened.next_step = opened.run.starting_step
        for report in opened.reports:
            self.log(opened, report)

    def go_offline(self, error: Exception) -> None:
        """Opens all runs again as offline files, from their first report.

        A failed `init` keeps its run id in use until the service of W&B ends
        ("run ID ... is in use", wandb 0.31), and the other open runs end with it.
        """
        import wandb

        self.mode = "offline"
        self.warn_of_upload(str(error))
        wandb.teardown()
        for opened in self.trials.values():
            opened.run, opened.next_step = None, 0
        for opened in self.trials.values():
            self.open_run(opened)

    def init(self, trial: Message, mode: str) -> Any:
        """A new run beside the others of this process, or the continued run of the same id."""
        import wandb

        number, loss, miner = trial["number"], trial["loss"], trial["miner"]
        optional = {
            # A trial trains in another process, mostly on another machine: what W&B would
            # measure here is this uploader.
            "x_disable_stats": True,
            "x_disable_meta": True,
            "x_save_requirements": False,
            "x_transaction_log_flush_interval": 1.0,
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
        return wandb.init(
            project=self.project,
            id=f"{self.id_prefix}-{number:04d}",
            name=f"{number:04d} {loss} {miner}",
            group=self.study,
            config=trial["recipe"],
            tags=trial["tags"],
            dir=self.folder,
            mode=mode,  # type: ignore[arg-type]  # WandbTracker checks the word
            resume="allow",
            reinit="create_new",
            settings=settings,
        )

    def log(self, opened: OpenTrial, report: Message) -> None:
        """Logs a report, unless its step was logged before: W&B would drop it."""
        step = report["step"]
        if opened.run is None or step < opened.next_step:
            return
        metrics = {name: value for name, value in report.items() if name != "step"}
        opened.run.log(metrics, step=step, commit=True)
        opened.next_step = step + 1

    def finish(self, opened: OpenTrial, trial: Message, state: str) -> None:
        """Writes the summary and finishes the run in a thread: an upload may take its time."""
        if opened.run is None:
            return
        accuracies = [
            report["one_shot_accuracy"]
            for report in trial["reports"]
            if math.isfinite(report["one_shot_accuracy"])
        ]
        opened.run.summary.update(
            {
                "state": state,
                "failure": trial["failure"],
                "attempts": trial["attempts"],
                "is_collapsed": any(report["is_collapsed"] for report in trial["reports"][-1:]),
                "best_one_shot_accuracy": max(accuracies, default=None),
            }
        )
        if state == "interrupted":
            opened.run.mark_preempting()
        exit_code = 0 if state in ("complete", "pruned") else 1
        thread = Thread(target=self.finish_run, args=(opened.run, exit_code), daemon=True)
        thread.start()
        self.finishing[trial["number"]] = thread

    def finish_run(self, run: Any, exit_code: int) -> None:
        """Waits for the uploads of one run; when they cannot be made, later runs are offline."""
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            if self.mode == "online":
                self.mode = "offline"
            self.warn_of_upload(str(error))

    def warn_of_upload(self, reason: str) -> None:
        """Says where the files are and how to upload them later."""
        self.warn(
            f"W&B could not upload ({without_secrets(reason)}); its runs are kept in "
            f"{self.folder}/wandb: upload them later with `wandb sync {self.folder}/wandb/*run-*`"
        )

    def warn_of_failure(self, number: int, error: Exception) -> None:
        """Says that W&B itself failed for a trial, which the search does not mind."""
        self.warn(
            f"W&B failed at trial {number} ({without_secrets(str(error))}); the search goes on "
            "and its own results are complete"
        )

    def warn(self, text: str) -> None:
        """Sends the first warning of a search to the driver; the others would repeat it."""
        with self.lock:
            if not self.has_warned:
                self.has_warned = True
                with suppress(OSError):  # a driver that died reads nothing
                    print(json.dumps({"warning": text}), file=self.output)


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
    return (line.replace(secret, "***") if secret else line)[:200]


def has_login(settings: Any) -> bool:
    """Whether W&B has credentials for its server, read from this machine alone."""
    import netrc
    from pathlib import Path

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


def follow(lines: Iterator[str], output: IO[str]) -> None:
    """Carries out the messages; returns when the runs are finished."""
    options = json.loads(next(lines))
    options["mode"] = decide_mode(options["mode"])
    uploader = Uploader(**options, output=output)
    deadline = None
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:  # the driver was killed in the middle of a line
            break
        if message["kind"] == "close":
            deadline = message["deadline"]
            break
        try:
            if message["kind"] == "started":
                uploader.started(message["trial"])
            elif message["kind"] == "reported":
                uploader.reported(message["number"], message["report"])
            else:
                uploader.ended(message["trial"])
        except Exception as error:  # the edge of one run: the others go on
            uploader.warn_of_failure(message["number"], error)
    uploader.close(time.time() + ORPHANED_CLOSE_S if deadline is None else deadline)


def main() -> None:
    """Takes over standard input and output, follows the messages and ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver closes us when it is done
    # W&B would import it (2 s, 60 MB) to ask of every value whether it is a data frame.
    sys.modules["pandas"] = None  # type: ignore[assignment]  # how Python says: not to be had
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # so that W&B neither prompts on nor prints into our messages
        os.dup2(nothing, standard)
    try:
        follow(lines, output)
    except BaseException:
        traceback.print_exc()  # standard error is a file beside the runs
        os._exit(1)
    # At a normal exit W&B would go on trying to upload.
    os._exit(0)


if __name__ == "__main__":
    main()
