"""Points of a space: parameter values that a search shall try first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from .sections import Parameter
from .source import Plain, Problem, Source, SpaceError, Value, show

POINTS = "points"
"""Key at the top of a space file; it is no part of a recipe."""

Point = Mapping[str, Value]


@dataclass(frozen=True)
class _Place:
    """Where a problem of a point is."""

    line: int | None
    path: str

    def problem(self, text: str) -> Problem:
        return Problem(self.line, self.path, text)


def read_points(source: Source, parameters: Sequence[Parameter]) -> tuple[Point, ...]:
    """What stands under `points` in a space file.

    A point names some parameters, as `tripletune describe` does, with a value each; what it leaves
    out is drawn.

    Args:
        source: Of the space.
        parameters: Of the space.

    Raises:
        SpaceError: If it is no list of mappings, names what is no parameter, or gives a value
            that cannot be drawn.
    """
    content = source.data.get(POINTS, [])
    line = source.lines.get(POINTS)
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        text = f"must be a list of mappings, got {show(content)}; write - {{objective: triplet}}"
        raise SpaceError.of([Problem(line, POINTS, text)], source.origin)
    known = {parameter.name: parameter for parameter in parameters}
    problems = []
    for number, point in enumerate(cast(list[dict[str, Plain]], content)):
        for name, value in point.items():
            place = _Place(line, f"{POINTS}.{number}.{name}")
            if name not in known:
                names = ", ".join(known)
                problems.append(
                    place.problem(f"must be a searched parameter, got no such one; name {names}")
                )
            elif isinstance(value, dict | list) or not known[name].distribution.contains(value):
                rule = f"must be drawn from {known[name].distribution}, got {show(value)}"
                problems.append(place.problem(f"{rule}; change it, or widen the space"))
    if problems:
        raise SpaceError.of(problems, source.origin)
    return tuple(cast(list[Point], content))


def fitting(values: Point, parameters: Sequence[Parameter]) -> Point:
    """The part of a point of another space that this one can draw.

    A value goes along where its parameter exists under the labels that do and can be drawn. A
    point whose branch is missing here is none: empty.
    """
    choices = {name for parameter in parameters for name, _ in parameter.conditions}
    kept: dict[str, Value] = {}
    for parameter in parameters:
        exists = all(kept.get(name) == label for name, label in parameter.conditions)
        if not exists or parameter.name not in values:
            continue
        value = values[parameter.name]
        if parameter.distribution.contains(value):
            kept[parameter.name] = value
        elif parameter.name in choices:
            return {}
    return kept
