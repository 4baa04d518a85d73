"""The models of a study that no other one beats."""

from collections.abc import Mapping, Sequence

from . import labels
from .records import TrialRecord
from .under_dim import under_dim


def all_models(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Every trial that trained its whole budget and did not collapse, whole and shrunk.

    A trial stands once more for each size that its leading dimensions were scored at.
    """
    return [
        model
        for record in records
        if record.state == "complete" and labels.is_ranked(record)
        for size in (record.embedding_dim, *map(int, record.reports[-1].sizes))
        for model in under_dim([record], size)
    ]


def model_name(model: TrialRecord) -> str:
    """For folders: `trial-7`, or `trial-7-dim-32` of leading dimensions."""
    return f"trial-{model.number}" + ("" if model.size is None else f"-dim-{model.size}")


def pareto_front(models: Sequence[TrialRecord], weights: Mapping[int, int]) -> list[TrialRecord]:
    """The models that no other one beats in one of these and equals in the rest.

    Compared are the accuracy, the length of an embedding and the number of weights.

    Args:
        models: Of a study, each with a report.
        weights: How many the encoder of each trial has, by its number.

    Returns:
        By rising length, then falling accuracy; of equal ones the first.
    """
    costs = [
        (-model.reports[-1].one_shot_accuracy, model.embedding_dim, weights[model.number])
        for model in models
    ]
    front: dict[tuple[float, int, int], TrialRecord] = {}
    for model, own in zip(models, costs, strict=True):
        is_beaten = any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in costs
        )
        if not is_beaten:
            front.setdefault(own, model)
    return [front[own] for own in sorted(front, key=lambda own: (own[1], own[0]))]
