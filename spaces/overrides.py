"""Values that a caller fixes in a space, written into its data."""

import copy
from collections.abc import Mapping

from .sections import ONE_OF
from .source import Plain, Problem, Source, SpaceError, Value, show


def overridden(source: Source, values: Mapping[str, Value]) -> Source:
    """The file with the values set; what they replace loses its line.

    Args:
        source: Of a space.
        values: By dotted path of the recipe, or by a parameter's name; a label at a `one_of`
            leaves that branch alone.

    Raises:
        SpaceError: If a path goes through a value, or a label is unknown.
        TypeError: If a value is no scalar.
    """
    data = copy.deepcopy(source.data)
    lines = dict(source.lines)
    for name, value in values.items():
        if not isinstance(value, bool | int | float | str | None):
            raise TypeError(f"{name} must be one plain value, got {type(value).__name__}")
        try:
            place = _set(data, tuple(name.split(".")), value)
        except ValueError as error:
            raise SpaceError.of([Problem(None, name, str(error))], source.origin) from error
        lines.pop(".".join(place), None)
    return Source(data, lines, source.origin)


def _set(section: dict[str, Plain], keys: tuple[str, ...], value: Value) -> tuple[str, ...]:
    """Sets the value below the section; returns where in the file."""
    key, rest = keys[0], keys[1:]
    branches = _branches(section)
    if rest and key in branches and key not in section:
        branch = branches[key]
        if isinstance(branch, dict):
            return (ONE_OF, key, *_set(branch, rest, value))
    target = section.get(key)
    if not rest:
        if isinstance(target, dict) and ONE_OF in target:
            labels = _branches(target)
            if value not in labels:
                raise ValueError(
                    f"must be one of {', '.join(labels)}, got {show(value)}; write one of these"
                )
            target[ONE_OF] = {str(value): labels[str(value)]}
            return key, ONE_OF
        _remove_from_branches(section, keys)
        section[key] = value
        return (key,)
    if target is None:
        target = section[key] = {}
    if not isinstance(target, dict):
        raise ValueError(f"must lie in a section, got {key}={show(target)}; check the path")
    _remove_from_branches(section, keys)
    return (key, *_set(target, rest, value))


def _remove_from_branches(section: dict[str, Plain], keys: tuple[str, ...]) -> None:
    for branch in _branches(section).values():
        if isinstance(branch, dict):
            _remove(branch, keys)


def _remove(section: dict[str, Plain], keys: tuple[str, ...]) -> None:
    _remove_from_branches(section, keys)
    inner = section.get(keys[0])
    if len(keys) == 1:
        section.pop(keys[0], None)
    elif isinstance(inner, dict):
        _remove(inner, keys[1:])


def _branches(section: dict[str, Plain]) -> dict[str, Plain]:
    branches = section.get(ONE_OF)
    return branches if isinstance(branches, dict) else {}
