"""Where everything that Ray Tune reports goes: the study, then the trackers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.tune import Callback
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from ..cluster import Packing, shape_of
from ..trainables.report import Report
from .checkpoints import CheckpointBudget
from .ending import SearchEnd
from .folder import CHECKPOINT_FILE
from .ray_trial import (
    EPISODE_SCORES,
    FAILURE,
    GPUS,
    NUMBER,
    OUT_OF_MEMORY,
    PEAK_BYTES,
    REPORT,
    RESERVE_SCORES,
    STEP,
    TRACEBACK,
    malformed,
)
from .records import CheckpointRecord, TrialRecord
from .stop_request import StopRequest
from .study import Study
from .trackers import Tracker
from .watchdog import Watchdog

logger = logging.getLogger(__name__)

MAX_LOST_NODES = 10
"""How often the machine of a trial may be lost before the trial has failed."""


@dataclass(frozen=True)
class Parts:
    """What a recorder talks to.

    Attributes:
        study: Where results go.
        trackers: Told after the study; one that raises costs a warning and is dropped.
        packing: Told what memory trials need, and asked what to do when there is too little.
        watchdog: Told when something was heard of a trial.
        budget: Of checkpoints.
        stop: Asked to end the search when the study cannot be written.
        try_again: Takes the trials that were cut off through no fault of their own.
        max_lost_processes: How often the process of a trial may die before the trial has failed.
        cpus: CPUs of a trial.
    """

    study: Study
    trackers: Sequence[Tracker]
    packing: Packing
    watchdog: Watchdog
    budget: CheckpointBudget
    stop: StopRequest
    try_again: Callable[[TrialRecord], None]
    max_lost_processes: int
    cpus: float


class StudyRecorder(Callback):
    """Writes every result to the study as it comes in, then tells the trackers.

    Nothing raises out of here, which would end the whole search: a tracker that fails is told no
    more, a study that cannot be written any more ends the search in order.
    """

    def __init__(self, parts: Parts, end: SearchEnd) -> None:
        """Record into a study.

        Args:
            parts: What to talk to.
            end: Of the search; while it waits for checkpoints, every report gets one.
        """
        self._parts = parts
        self._end = end
        self._study = parts.study
        self._trackers = list(parts.trackers)
        self._starved: set[int] = set()
        self._failures: dict[int, tuple[str, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing of the study goes into Tune's own files."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count the start."""
        number = trial.config[NUMBER]
        self._parts.watchdog.started(number)
        with self._parts.stop.on_study_error():
            record = self._study.start(number, cpus=self._parts.cpus, gpus=trial.config[GPUS])
            wandb_id = self._wandb_id(number)
            if wandb_id is not None:
                record = self._study.note(number, wandb_id=wandb_id)
            self._tell("trial_started", record)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the report, or the reason of a failure."""
        number = trial.config[NUMBER]
        self._parts.watchdog.heard_of(number)
        if FAILURE in result:
            self._failures[number] = (result[FAILURE], result[TRACEBACK])
            if result[OUT_OF_MEMORY]:
                self._starved.add(number)
            return
        problem = malformed(result)
        if problem is not None:
            self._failures[number] = (problem, "")
            return
        if self._end.is_draining:
            result[SHOULD_CHECKPOINT] = True
        with self._parts.stop.on_study_error():
            self._keep(number, result)

    def _keep(self, number: int, result: Mapping[str, Any]) -> None:
        peak = result[PEAK_BYTES]
        if peak:
            self._parts.packing.measured(shape_of(self._study.record(number).recipe), peak)
        record = self._study.record(number)
        attempt = record.attempts
        report = replace(Report(**result[REPORT]), attempt=attempt)
        if record.last_report is not None and report.step <= record.last_report.step:
            return  # made again since the last checkpoint
        # Before the report: what the journal tells has its scores.
        self._study.keep_episode_scores(
            number, report.step, result[EPISODE_SCORES], result.get(RESERVE_SCORES)
        )
        # Tune tells the end only when the checkpoint is written; the verdict is kept at once.
        is_last = bool(result.get(DONE))
        if self._study.report(number, report, is_last=is_last):
            self._tell("trial_reported", number, attempt, report)

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any
    ) -> None:
        """Keep where the newest checkpoint is."""
        number = trial.config[NUMBER]
        self._parts.watchdog.heard_of(number)
        step = (trial.last_result or {}).get(STEP)
        if step is None or self._study.record(number).state != "running":
            return
        path = Path(checkpoint.path) / CHECKPOINT_FILE
        if path.is_relative_to(self._study.folder.path):
            path = path.relative_to(self._study.folder.path)
        with self._parts.stop.on_study_error():
            self._study.note(number, checkpoint=CheckpointRecord(str(path), step))

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Tell how the trial ended."""
        number = trial.config[NUMBER]
        self._parts.watchdog.ended(number)
        if number in self._starved:
            self._starved.remove(number)
            may_retry = self._parts.packing.out_of_memory(number, trial.config[GPUS])
            if may_retry:
                reason, _ = self._failures.pop(number)
                logger.info("trial %d is tried again: %s", number, reason)
                self._parts.try_again(self._study.record(number))
                return
        with self._parts.stop.on_study_error():
            if number in self._failures:
                record = self._study.fail(number, *self._failures.pop(number))
            else:
                record = self._study.finish(number)
            self._ended(record)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial whose process is gone: by the watchdog, by its machine, or by itself."""
        number = trial.config[NUMBER]
        overdue = self._parts.watchdog.verdict(number)
        self._parts.watchdog.ended(number)
        error = _error_of(trial)
        details = str(error or "").strip()
        with self._parts.stop.on_study_error():
            if overdue is not None:
                self._ended(self._study.fail(number, overdue))
                return
            if "No space left on device" in details:
                # The disk's fault: the trial goes on when there is room again.
                self._parts.stop.give_up(f"the disk is full: {_last_line(details)}")
                return
            if not isinstance(error, RayActorError):
                self._ended(self._study.fail(number, _last_line(details), details))
                return
            lost = what_was_lost(error)
            record = self._study.note(number, lost=lost)
            most = self._parts.max_lost_processes if lost == "process" else MAX_LOST_NODES
            if record.losses.count(lost) < most:
                logger.info("trial %d goes on elsewhere: its %s was lost", number, lost)
                self._parts.try_again(record)
                return
            reason = f"its {lost} was lost {most} times"
            self._ended(self._study.fail(number, reason, details))

    def _ended(self, record: TrialRecord) -> None:
        self._parts.budget.ended(record)
        self._tell("trial_ended", record)

    def _wandb_id(self, number: int) -> str | None:
        """Of the trial's run, where a tracker has one."""
        for tracker in self._trackers:
            run_id = getattr(tracker, "run_id", None)
            if run_id is not None:
                return str(run_id(number))
        return None

    def _tell(self, event: str, *arguments: object) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, event)(*arguments)
            except Exception:  # a tracker must never cost a trial
                self._trackers.remove(tracker)
                logger.warning("%s failed and is not told any more", tracker, exc_info=True)


def what_was_lost(error: RayActorError) -> Literal["process", "node"]:
    """Whether a trial's process died by itself, or with its machine or the way to it."""
    is_node = (
        isinstance(error, ActorUnavailableError)
        or bool(getattr(error, "preempted", False))
        or "node has died" in str(error)
        or "node was terminated" in str(error)
    )
    return "node" if is_node else "process"


def _error_of(trial: Any) -> BaseException | None:
    """What ended a trial, where Tune keeps it until it copies it to the study's folder."""
    try:
        with Path(trial.pickled_error_file or "").open("rb") as file:
            error: BaseException = cloudpickle.load(file)
    except (OSError, EOFError, UnpicklingError):
        return None
    return error


def _last_line(details: str) -> str:
    return details.splitlines()[-1] if details else "it failed without a message"
