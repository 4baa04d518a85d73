"""A comparison for people: a table in Markdown, the curves of the families, what mattered."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from ..trainables.whole_file import whole_file
from .folder import write_text
from .records import TrialRecord

Records = Mapping[str, Sequence[TrialRecord]]

LEAST_TRIALS = 8
"""Fewer say nothing of what mattered."""


def write_pages(folder: Path, content: dict[str, Any], records: Records) -> None:
    """Write `compare.md` and `curves.png`.

    Args:
        folder: Of the comparison.
        content: From `summarize`.
        records: Trials of each family.
    """
    effects = importance(records)
    write_text(folder / "compare.md", "\n".join(page(content, effects)) + "\n")
    draw_curves(folder / "curves.png", records)


def page(content: dict[str, Any], effects: Mapping[str, float]) -> list[str]:
    """The lines of `compare.md`."""
    budget = content["budget"]
    limit = f", {budget['device_s']:g} device-seconds" if budget["device_s"] else ""
    about = (
        f"{budget['trials']} trials{limit} per {budget['per']}; the best of each trained again "
        f"from {budget['seeds']} fresh seeds, scored on {budget['episodes']} fresh episodes of "
        "the validation classes. Families that share a rank cannot be told apart (seeds and "
        "episodes, Holm)."
    )
    columns = (
        "| # | family | best | selected | confirmed | 95 % over seeds | 95 % over both | trials "
        "| device-s |"
    )
    rule = "|--:|---|---|--:|--:|---|---|--:|--:|"
    lines = [f"# {content['comparison']}", "", about, "", columns, rule]
    lines += [
        f"| {row['rank']} | {row['family']} | {row['miner']}{_sharpness(row)}, "
        f"{row['embedding_dim']}-d | {row['selection']:.4f} | {row['one_shot_accuracy']:.4f} | "
        f"{_ends(row['interval_over_seeds'])} | {_ends(row['interval_over_both'])} | "
        f"{row['trials']} | {row['device_seconds']:.0f} |"
        for row in content["families"]
    ]
    lines += [
        f"| - | {name} | baseline, on the search's episodes | {score['one_shot_accuracy']:.4f} "
        "| | | | | |"
        for name, score in content["baselines"].items()
    ]
    lines += [
        f"| - | {name} | no complete trial, or no seed gave a score | | | | | | |"
        for name in content["without_a_score"]
    ]
    if effects:
        lines += [
            "",
            "Share of each parameter in reaching the best tenth of all trials (PED-ANOVA):",
            "",
            *(f"- {name}: {share:.2f}" for name, share in effects.items()),
        ]
    return [*lines, "", "![best so far](curves.png)"]


def _sharpness(row: Mapping[str, Any]) -> str:
    for name in ("margin", "temperature"):
        if row[name] is not None:
            return f", {name} {row[name]:.3g}"
    return ""


def _ends(interval: list[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def importance(records: Records) -> dict[str, float]:
    """How much loss, miner, size and the rest mattered over all families together.

    A margin or a temperature exists under some losses only; they enter as the place of the value
    within its own family, so that all trials have one. Nothing is said of fewer than
    `LEAST_TRIALS` trials.

    Source: Watanabe, Bansal, Hutter 2023, PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces, arXiv 2304.10255.
    """
    rates = [
        math.log(record.recipe.optimizer.learning_rate)
        for family in records.values()
        for record in _over(family)
    ]
    span = (min(rates, default=0.0), max(rates, default=1.0))
    trials = [trial for family in records.values() for trial in _as_trials(family, span)]
    if len(trials) < LEAST_TRIALS:
        return {}
    values = {name: {trial.params[name] for trial in trials} for name in trials[0].params}
    varied = [name for name, found in values.items() if len(found) > 1]
    choices: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(sorted(map(str, values[name])))
        for name in ("loss", "miner", "embedding_dim")
        if name in varied
    }
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(direction="maximize")
        optuna.logging.set_verbosity(level)
        for trial in trials:
            study.add_trial(
                create_trial(
                    params={
                        name: str(trial.params[name]) if name in choices else trial.params[name]
                        for name in varied
                    },
                    distributions={
                        name: choices.get(name, trial.distributions[name]) for name in varied
                    },
                    value=trial.value,
                )
            )
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: share for name, share in shares.items() if math.isfinite(share)}


def _over(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.state == "complete" and record.reports]


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, in [0, 1]."""
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


def _as_trials(records: Sequence[TrialRecord], rates: tuple[float, float]) -> list[FrozenTrial]:
    over = _over(records)
    sharp = [_sharp(record) for record in over]
    low, high = min(sharp, default=0.0), max(sharp, default=1.0)
    return [
        create_trial(
            params={
                "loss": record.recipe.objective.loss.name,
                "miner": record.recipe.objective.miner.name,
                "embedding_dim": record.recipe.encoder.embedding_dim,
                "margin or temperature": _place(value, low, high),
                "learning_rate": _place(math.log(record.recipe.optimizer.learning_rate), *rates),
            },
            distributions={
                "loss": CategoricalDistribution([record.recipe.objective.loss.name]),
                "miner": CategoricalDistribution([record.recipe.objective.miner.name]),
                "embedding_dim": CategoricalDistribution([record.recipe.encoder.embedding_dim]),
                "margin or temperature": FloatDistribution(0.0, 1.0),
                "learning_rate": FloatDistribution(0.0, 1.0),
            },
            value=record.reports[-1].one_shot_accuracy,
        )
        for record, value in zip(over, sharp, strict=True)
    ]


def _sharp(record: TrialRecord) -> float:
    loss = record.recipe.objective.loss
    for name in ("margin", "temperature"):
        value = getattr(loss, name, None)
        if value is not None:
            return math.log(value) if value > 0 else 0.0
    return 0.0


def best_so_far(records: Sequence[TrialRecord]) -> tuple[list[float], list[float]]:
    """Device-seconds spent, and the best accuracy of a finished trial by then."""
    spent, best = [0.0], [0.0]
    for record in records:
        if record.reports:
            spent.append(spent[-1] + record.seconds)
            finished = record.state == "complete"
            best.append(max(best[-1], record.reports[-1].one_shot_accuracy if finished else 0.0))
    return spent, best


def draw_curves(path: Path, records: Records) -> None:
    """Best so far against device-seconds, a step curve a family."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", ":", "-.")
    for number, (family, of_family) in enumerate(records.items()):
        spent, best = best_so_far(of_family)
        first = next((place for place, value in enumerate(best) if value > 0), len(best))
        axes.step(
            spent[first:],
            best[first:],
            where="post",
            marker="o",
            markersize=3,
            label=family,
            color=f"C{number % 10}",
            linestyle=styles[number // 10 % len(styles)],
        )
    axes.set_xlabel("device-seconds of the family's search")
    axes.set_ylabel("best one-shot accuracy so far (selection)")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
