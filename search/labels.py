"""How a trial is written where 80 columns must do: short names, numbers, durations."""

import math

from ..trainables.report import Report
from .records import TrialRecord

SHORT_NAMES = {
    "squared_contrastive": "sq_contrast",
    "mixed_contrastive": "mix_contrast",
    "linear_contrastive": "lin_contrast",
    "two_margin_contrastive": "two_margin",
    "soft_nearest_neighbor": "soft_nn",
    "multi_similarity": "multi_sim",
    "lifted_structure": "lifted",
    "normalized_softmax": "norm_softmax",
    "easy_positive_hard": "easy_hard",
    "easy_positive_semi_hard": "easy_semi",
    "semi_hard_or_hardest": "semi+hard",
    "semi_hard_random": "semi_rand",
    "semi_hard_random_or_any": "semi+any",
    "semi_hard_nearest_or_farthest": "semi+far",
    "distance_weighted": "weighted",
    "random_positive_hard": "rand_hard",
    "random_positive_semi_hard": "rand_semi",
}
"""Names of losses (12 columns) and miners (10) that are too long; the others stay as they are."""

STATE_WORDS = {"running": "running", "complete": "done", "pruned": "stopped", "failed": "failed"}

STATE_STYLES = {
    "running": "cyan",
    "done": "green",
    "stopped": "",
    "failed": "red",
    "collapsed": "yellow",
}


def state_word(record: TrialRecord) -> str:
    """`running`, `done`, `stopped`, `failed` or `collapsed`."""
    is_over = record.state in ("complete", "pruned")
    return "collapsed" if is_over and is_collapsed(record) else STATE_WORDS[record.state]


def is_collapsed(record: TrialRecord) -> bool:
    """Whether the trial's last report found all embeddings in one place."""
    return record.last_report is not None and record.last_report.is_collapsed


def is_ranked(record: TrialRecord) -> bool:
    """Whether the trial has a score that counts: reported, finite, not failed, not collapsed."""
    report = record.last_report
    return (
        report is not None
        and math.isfinite(report.one_shot_accuracy)
        and record.state != "failed"
        and not report.is_collapsed
    )


def short(name: str) -> str:
    """The name as a narrow column shows it."""
    return SHORT_NAMES.get(name, name)


def loss_name(record: TrialRecord) -> str:
    """Short name of the trial's loss; of the task's, where it has its own."""
    task = record.recipe.task
    if task.FACTS.has_own_loss:
        return short(task.name)
    return short(record.recipe.objective.loss.name)


def encoder_name(record: TrialRecord) -> str:
    """Name of the trial's encoder; of a library's, that of the model."""
    encoder = record.recipe.encoder
    return str(getattr(encoder, "model", encoder.name))


def miner_name(record: TrialRecord) -> str:
    """Short name of the trial's miner; none where the task has a loss of its own."""
    if record.recipe.task.FACTS.has_own_loss:
        return "none"
    return short(record.recipe.objective.miner.name)


def sharpness(record: TrialRecord) -> str:
    """Margin (`m 0.2`) or temperature (`t 0.07`) of the loss; empty where it has neither."""
    loss = record.recipe.objective.loss
    margin, temperature = getattr(loss, "margin", None), getattr(loss, "temperature", None)
    if margin is not None:
        return f"m {_decimals(margin)}"
    return f"t {_decimals(temperature)}" if temperature is not None else ""


def _decimals(value: float) -> str:
    """At most three decimals, none of them a trailing zero."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def accuracy(mean: float, low: float, high: float) -> str:
    """A score with the wider side of its interval: `0.912 ±0.012`."""
    return f"{mean:.3f} ±{max(high - mean, mean - low):.3f}"


def report_accuracy(report: Report | None) -> str:
    """The score of a report, or a dash."""
    if report is None or not math.isfinite(report.one_shot_accuracy):
        return "-"
    return accuracy(report.one_shot_accuracy, report.interval_low, report.interval_high)


def duration(seconds: float) -> str:
    """`48s`, `3:07` (minutes) or `2h05`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}"


def failure_line(record: TrialRecord) -> str:
    """Why a trial has no rank, in one line."""
    step = record.last_report.step if record.last_report else 0
    reason = "all embeddings in one place"
    if record.state == "failed":
        reason = " ".join((record.failure or "no reason was recorded").split())
    return f"trial {record.number} {state_word(record)} at step {step}: {reason}"
