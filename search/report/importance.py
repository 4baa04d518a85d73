"""Which parameters decided the score: over all trials, and within each branch of the space."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from ..records import TrialRecord

LEAST_TRIALS = 8
"""Below it there is nothing to rank parameters by."""

LEAST_GOOD = 5
"""Trials that count as good, at least; Optuna's advice for PED-ANOVA."""

QUANTILE = 0.1
"""Share of the trials that count as good, where it is at least `LEAST_GOOD` of them."""


@dataclass(frozen=True)
class Importance:
    """What decided the score among some trials.

    Attributes:
        parameter: Name of the choice whose branch the trials took; None for all trials.
        branch: Label of that branch; None for all trials.
        step: At which the trials are compared; None for the end of their budget.
        num_trials: How many there are.
        values: Importance by parameter, the largest first; they sum to 1 unless all are 0.
    """

    parameter: str | None
    branch: str | None
    step: int | None
    num_trials: int
    values: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


def importances(trials: Sequence[FrozenTrial], records: Sequence[TrialRecord]) -> list[Importance]:
    """Importance over all trials and within each branch, at full budget and at the first report.

    Trials that were stopped early have no score at full budget, and those that go on are the good
    ones: the comparison at the first report has them all. Collapsed trials count there with the
    score that they had; failed ones without a report do not count.

    Args:
        trials: Of the study as Optuna holds them.
        records: The same trials; those without a record are left out.

    Returns:
        One entry a scope and step that has `LEAST_TRIALS` trials. Empty where none has.

    Source: Watanabe, Bansal, Hutter 2023, PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces, arXiv 2304.10255; the computation is Optuna's.
    """
    by_number = {trial.number: trial for trial in trials}
    pairs = [(by_number[record.number], record) for record in records]
    found = []
    for step, scores in _targets(pairs):
        for parameter, branch in [(None, None), *_branches(trials)]:
            chosen = [
                (trial, score)
                for trial, score in scores
                if parameter is None or trial.params.get(parameter) == branch
            ]
            if len(chosen) >= LEAST_TRIALS:
                values = _values(chosen, parameter)
                if len(values) > 1:
                    found.append(Importance(parameter, branch, step, len(chosen), values))
    return found


def _targets(
    pairs: Sequence[tuple[FrozenTrial, TrialRecord]],
) -> Iterator[tuple[int | None, list[tuple[FrozenTrial, float]]]]:
    """The scores to explain: at full budget, and at the earliest report, where all still ran."""
    yield (
        None,
        [
            (trial, record.last_report.one_shot_accuracy)
            for trial, record in pairs
            if record.state == "complete" and record.last_report is not None
        ],
    )
    steps = [record.reports[0].step for _, record in pairs if record.reports]
    if steps:
        first = max(set(steps), key=steps.count)
        yield (
            first,
            [
                (trial, report.one_shot_accuracy)
                for trial, record in pairs
                for report in record.reports[:1]
                if report.step == first
            ],
        )


def _branches(trials: Sequence[FrozenTrial]) -> list[tuple[str, str]]:
    """Every branch that another parameter's name goes through, as choice and label."""
    names = {name for trial in trials for name in trial.params}
    found: dict[tuple[str, str], None] = {}
    for trial in trials:
        for name, value in trial.params.items():
            is_choice = isinstance(trial.distributions[name], CategoricalDistribution)
            prefix = f"{name}.{value}."
            if is_choice and any(other.startswith(prefix) for other in names):
                found[name, str(value)] = None
    return sorted(found)


def _values(
    chosen: Sequence[tuple[FrozenTrial, float]], parameter: str | None
) -> dict[str, float]:
    """PED-ANOVA over trials, as if each had ended with its score."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # That few trials make it inaccurate, which the page says by their number.
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="maximize")
            study.add_trials(
                [
                    optuna.trial.create_trial(
                        params=_without(trial.params, parameter),
                        distributions=_without(trial.distributions, parameter),
                        value=score,
                        state=TrialState.COMPLETE,
                    )
                    for trial, score in chosen
                ]
            )
            quantile = min(1.0, max(QUANTILE, LEAST_GOOD / len(chosen)))
            evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
            return dict(get_param_importances(study, evaluator=evaluator))
    except (RuntimeError, ValueError):
        return {}  # equal scores, or one value for each parameter: nothing decides
    finally:
        optuna.logging.set_verbosity(level)


def _without(values: Mapping[str, Any], parameter: str | None) -> dict[str, Any]:
    """All but the choice of the branch, which is the same for the whole scope."""
    return {name: value for name, value in values.items() if name != parameter}
