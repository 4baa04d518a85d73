"""How a trial lies in Optuna's storage: a record as user attributes, and back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from optuna.trial import FrozenTrial, TrialState

from ..spaces import Recipe
from ..trainables.report import Report
from .records import Attempt, CheckpointRecord, TrialRecord
from .records import TrialState as RecordState

RECIPE: Final = "recipe"
ATTEMPTS: Final = "attempts"
ATTEMPT: Final = "attempt"
REPORT: Final = "report"
IS_OVER: Final = "is_over"
ENDED: Final = "ended"
FAILURE: Final = "failure"
TRACEBACK: Final = "traceback"
CHECKPOINT: Final = "checkpoint"
WANDB_ID: Final = "wandb_id"
LOSSES: Final = "losses"
COLLAPSED: Final = "collapsed"

AT: Final = "at"
"""When a report came, in seconds since 1970; kept with it."""

MAX_TRACEBACK: Final = 20_000
"""Characters; the end of a traceback says the most. MySQL takes 64 KiB of text."""

STATES: Mapping[TrialState, RecordState] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def report_key(step: int) -> str:
    """Under which a report lies; sorted, they are in order."""
    return f"{REPORT}:{step:08d}"


def attempt_key(attempt: int) -> str:
    """Under which the start of an attempt lies."""
    return f"{ATTEMPT}:{attempt:04d}"


def record_of(trial: FrozenTrial) -> TrialRecord:
    """The record of a trial that has a recipe."""
    attributes = trial.user_attrs
    record = TrialRecord(
        number=trial.number,
        state=STATES[trial.state],
        recipe=Recipe.model_validate(attributes[RECIPE]),
        reports=(),
        attempts=attributes.get(ATTEMPTS, 0),
        failure=attributes.get(FAILURE),
        traceback=attributes.get(TRACEBACK),
        wandb_id=attributes.get(WANDB_ID),
        losses=tuple(attributes.get(LOSSES, ())),
    )
    if CHECKPOINT in attributes:
        record = replace(record, checkpoint=CheckpointRecord(**attributes[CHECKPOINT]))
    log = {
        int(key.partition(":")[2]): {"last": attributes[key]["began"], **attributes[key]}
        for key in sorted(attributes)
        if key.startswith(ATTEMPT + ":")
    }
    reports = []
    for key in sorted(key for key in attributes if key.startswith(REPORT + ":")):
        content = dict(attributes[key])
        at, attempt = content.pop(AT, None), content.get(ATTEMPT)
        reports.append(Report(**content))
        if at is not None and attempt in log:
            log[attempt]["last"] = max(at, log[attempt]["last"])
    if ENDED in attributes and log:
        log[max(log)]["last"] = attributes[ENDED]
    return replace(
        record,
        reports=tuple(reports),
        log=tuple(Attempt(**content) for content in log.values()),
    )
