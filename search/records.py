"""What a study knows of one trial."""

from dataclasses import dataclass
from typing import Literal

from ..spaces import Recipe
from ..trainables.report import Report

TrialState = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Attempt:
    """One start of a trial, until the last that was heard of it.

    Attributes:
        began: Seconds since 1970.
        last: Of its last report, or of its end where it was told.
        gpus: Share of GPUs that it held.
        cpus: Share of CPUs that it held.
    """

    began: float
    last: float
    gpus: float
    cpus: float

    @property
    def device_seconds(self) -> float:
        """Seconds times the share of what is scarce: GPUs, or CPUs where it holds no GPU."""
        return max(0.0, self.last - self.began) * (self.gpus or self.cpus)


@dataclass(frozen=True)
class CheckpointRecord:
    """The newest checkpoint that was written.

    Attributes:
        path: Below the study's folder.
        step: Of the trial.
    """

    path: str
    step: int


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the study's storage holds it.

    Attributes:
        number: Place in the study, from 0.
        state: `complete` trained its whole budget, `pruned` was stopped early, `failed` ended with
            a reason, `running` is neither (or was cut off, until the study is resumed).
        recipe: What it trains.
        reports: Its evaluations by step, each step once.
        attempts: How many times it was started.
        failure: Why it failed, one line; None unless failed.
        size: Leading dimensions that the last report is of, where `under_dim` shrank the trial.
        traceback: Of the failure, where there is one.
        log: Its attempts; empty in studies of older versions.
        checkpoint: The newest one.
        wandb_id: Of its W&B run.
        losses: How often its process or its node was lost, by which of the two.
    """

    number: int
    state: TrialState
    recipe: Recipe
    reports: tuple[Report, ...]
    attempts: int
    failure: str | None
    size: int | None = None
    traceback: str | None = None
    log: tuple[Attempt, ...] = ()
    checkpoint: CheckpointRecord | None = None
    wandb_id: str | None = None
    losses: tuple[Literal["process", "node"], ...] = ()

    @property
    def embedding_dim(self) -> int:
        """Dimensions that the last report is of."""
        return self.recipe.encoder.embedding_dim if self.size is None else self.size

    @property
    def last_report(self) -> Report | None:
        """The newest evaluation; the one that ranks the trial."""
        return self.reports[-1] if self.reports else None

    @property
    def seconds(self) -> float:
        """Training and evaluation time over all attempts."""
        return self.last_report.seconds if self.last_report else 0.0

    @property
    def device_seconds(self) -> float:
        """What it cost: GPU seconds, or CPU seconds where it holds no GPU, over all attempts."""
        return sum(attempt.device_seconds for attempt in self.log)

    @property
    def peak_bytes(self) -> int:
        """Most memory of a report: of the GPU, or of the process where it has none."""
        return max(
            (report.gpu_memory_bytes or report.memory_bytes or 0 for report in self.reports),
            default=0,
        )
