"""What a study knows of one trial."""

from dataclasses import dataclass
from typing import Literal

from ..spaces import Recipe
from ..trainables.report import Report

TrialState = Literal["running", "complete", "pruned", "failed"]


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
    """

    number: int
    state: TrialState
    recipe: Recipe
    reports: tuple[Report, ...]
    attempts: int
    failure: str | None
    size: int | None = None

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
