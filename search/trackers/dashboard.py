"""What optuna-dashboard shows of a study: names, links to W&B, and a note for each trial."""

from typing import TYPE_CHECKING

from ...spaces import recipe_to_yaml
from ...trainables.report import Report
from .. import labels
from ..records import TrialRecord
from .run_identity import run_link

if TYPE_CHECKING:
    from ..study import Study

NAME = "name"
WANDB = "wandb"
CONSTRAINT = "constraint collapsed"


class DashboardNotes:
    """Writes notes into the study's storage, where optuna-dashboard finds them.

    Args:
        study: Whose trials it follows.
    """

    def __init__(self, study: "Study") -> None:
        self._study = study

    def trial_started(self, record: TrialRecord) -> None:
        """Names the trial, and says where its run of W&B is."""
        link = run_link(self._study.folder.path, record.number)
        attributes = {NAME: title(record)} | ({WANDB: link} if link else {})
        self._study.describe(record.number, attributes)

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        """Names a broken constraint: the dashboard (0.21) does not read those of Optuna 5."""
        if report.is_collapsed:
            self._study.describe(number, {CONSTRAINT: "1.0: infeasible"})

    def trial_ended(self, record: TrialRecord) -> None:
        """Writes the trial's note."""
        self._study.write_note(trial_note(self._study, record), record.number)

    def study_ended(self, study: "Study") -> None:
        """Writes the study's note."""
        study.write_note(study_note(study))

    def close(self, timeout_s: float) -> None:
        """Nothing to wait for."""


def write_notes(study: "Study") -> None:
    """Write all notes of a study again, for instance with links that are known only now."""
    for record in study.records():
        if record.state != "running":
            study.write_note(trial_note(study, record), record.number)
    study.write_note(study_note(study))


def title(record: TrialRecord) -> str:
    """A trial's number, loss and miner: the name that W&B shows too."""
    objective = record.recipe.objective
    return f"{record.number:04d} {objective.loss.name} {objective.miner.name}"


def trial_note(study: "Study", record: TrialRecord) -> str:
    """Markdown: state, score, failure, link and recipe of a trial."""
    step = record.last_report.step if record.last_report else 0
    lines = [f"## {title(record)}"]
    lines.append(
        f"{labels.state_word(record)} at step {step} of {record.recipe.budget.steps}, accuracy "
        f"{labels.report_accuracy(record.last_report)}"
    )
    if record.state == "failed" or labels.is_collapsed(record):
        lines.append(f"**{labels.failure_line(record)}**")
    if labels.is_collapsed(record):
        lines.append("constraint `collapsed`: 1.0, so it is infeasible, not bad")
    lines.append(_wandb_line(run_link(study.folder.path, record.number)))
    lines.append(f"```yaml\n{recipe_to_yaml(record.recipe).strip()}\n```")
    return "\n\n".join(lines)


def study_note(study: "Study") -> str:
    """Markdown: the best trial, the baselines and how to go on."""
    best = study.leaderboard().best
    lines = [f"## {study.name}"]
    if best is not None:
        accuracy = labels.report_accuracy(best.last_report)
        lines.append(f"best: trial {best.number}, {title(best)}, accuracy {accuracy}")
    for name, score in study.settings.baselines.items():
        low, high = score["interval"]
        shown = labels.accuracy(score["one_shot_accuracy"], low, high)
        lines.append(f"baseline {name.replace('_', ' ')}: {shown}")
    lines.append(f"`{study.folder.command('leaderboard')}` ranks all trials")
    return "\n\n".join(lines)


def _wandb_line(link: str) -> str:
    if not link:
        return "no run in W&B"
    if link.startswith("http"):
        return f"[run in W&B]({link})"
    return f"run in W&B: `{link}`, not uploaded yet"
