"""What a trial chooses, as axes of a chart: the same value of several branches is one axis."""

from collections.abc import Iterable, Sequence
from typing import Any

from ...spaces import Choice, Int, LogUniform, Parameter, Uniform

_SILENT = frozenset({"objective", "loss", "name", "optimizer", "encoder"})
"""Parts of a parameter's name that say nothing beside the others."""


def dimensions(parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """The axes of a space.

    The margin of each branch of a `one_of` is a parameter of its own, with bounds of its own; on a
    chart they are one axis, which spans them all.

    Returns:
        For each axis its `key`, `label`, `kind` (`choice`, `linear` or `log`), `choices` or `low`
        and `high`, and the `names` of its parameters, of which a trial has one or none.
    """
    by_path: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        by_path.setdefault(recipe_path(parameter), []).append(parameter)
    labels = distinct(by_path)
    return [
        {"key": path, "label": labels[path], "names": [p.name for p in found], **_scale(found)}
        for path, found in by_path.items()
    ]


def recipe_path(parameter: Parameter) -> str:
    """Where the parameter's value stands in a recipe: its name without the labels of branches."""
    path = parameter.name
    # The innermost first: an outer prefix is shorter, and stays what it is.
    for choice, label in reversed(parameter.conditions):
        path = path.replace(f"{choice}.{label}.", f"{choice}.", 1)
    return path


def spoken(name: str) -> str:
    """A parameter's name without the parts that go without saying.

    `optimizer.learning_rate` is "learning rate", `objective.triplet.miner.name` "triplet miner".
    """
    parts = name.split(".")
    told = [part for part in parts if part not in _SILENT] or parts[-1:]
    return " ".join(told).replace("_", " ")


def distinct(names: Iterable[str]) -> dict[str, str]:
    """`spoken` for each name, written out where two would read alike."""
    labels = {name: spoken(name) for name in names}
    shown = list(labels.values())
    return {name: label if shown.count(label) == 1 else name for name, label in labels.items()}


def _scale(parameters: Sequence[Parameter]) -> dict[str, Any]:
    drawn = [parameter.distribution for parameter in parameters]
    numeric = [d for d in drawn if isinstance(d, Uniform | LogUniform | Int)]
    if len(numeric) < len(drawn):
        values: dict[Any, None] = {}
        for distribution in drawn:
            if isinstance(distribution, Choice):
                values |= dict.fromkeys(distribution.values)
        return {"kind": "choice", "choices": _in_order(list(values))}
    return {
        "kind": "log" if any(isinstance(d, LogUniform) for d in numeric) else "linear",
        "low": min(d.low for d in numeric),
        "high": max(d.high for d in numeric),
        "whole": all(isinstance(d, Int) for d in numeric),
    }


def _in_order(values: list[Any]) -> list[Any]:
    """Numbers by size, for an axis; words as the space has them."""
    is_numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return sorted(values) if is_numeric else values
