"""What pydantic found wrong with a recipe, in the words of the file it came from."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .distributions import DISTRIBUTION_KEYS, LogUniform, Uniform
from .recipe import Recipe
from .sections import ONE_OF, Path, Resolved, Searched
from .source import Plain, Problem, show

_UNIONS: tuple[Path, ...] = (("encoder",), ("objective", "loss"))
"""Where pydantic puts the name of the variant into the location of an error."""

_MAX_SHOWN = 72
"""Characters of a value that a message shows."""

_MAX_LISTED = 40
"""Allowed words that a message lists; of more, it lists those that are near."""

_BOUNDS = {
    "greater_than": ("gt", ">", "write a larger number"),
    "greater_than_equal": ("ge", ">=", "write {bound} or more"),
    "less_than": ("lt", "<", "write a smaller number"),
    "less_than_equal": ("le", "<=", "write {bound} or less"),
}

_KINDS = {
    "int_type": ("a whole number", "write it without quotes and decimals"),
    "float_type": ("a number", "write it without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "string_type": ("a text", "put it in quotes"),
    "finite_number": ("a finite number", "write a finite one"),
}


def explain(error: ValidationError, resolved: Resolved) -> list[Problem]:
    """One problem for each value that is wrong, with its line and what would be right.

    Args:
        error: From validating `resolved.values` as a `Recipe`.
        resolved: The values and where they came from.
    """
    by_path: dict[Path, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "default_factory_not_called":
            continue  # follows from another error, which is listed
        by_path.setdefault(_path(details, resolved.values), []).append(details)
    return [_problem(path, found, resolved) for path, found in by_path.items()]


def closest(word: object, allowed: Sequence[str]) -> str | None:
    """The allowed word that was probably meant; None where none is near."""
    matches = get_close_matches(str(word), allowed, n=1, cutoff=0.6)
    return matches[0] if matches else None


def _path(details: ErrorDetails, values: Mapping[str, Plain]) -> Path:
    """The location without the names of variants, down to the value that a file can hold."""
    path: Path = ()
    value: Plain = dict(values)
    location = iter(details["loc"])
    for part in location:
        if not isinstance(value, dict):
            break  # the rest names the members of a union of scalars
        path = (*path, str(part))
        value = value.get(str(part))
        if path in _UNIONS:
            next(location, None)
    kind = details["type"]
    if kind == "rule":
        return path + tuple(details["ctx"]["at"].split("."))
    return (*path, "name") if kind in ("union_tag_invalid", "union_tag_not_found") else path


def _problem(path: Path, found: list[ErrorDetails], resolved: Resolved) -> Problem:
    node = resolved.origins.get(path)
    above = path
    while node is None:
        above = above[:-1]
        node = resolved.origins.get(above)
    name = ".".join(part for part in (node.name, *path[len(above) :]) if part)
    got = _got(path, resolved.values)
    text = _text(found, path, got, resolved.values)
    if isinstance(node, Searched):
        rule, _, fix = text.partition("; ")
        if found[0]["type"] == "int_type" and isinstance(node.distribution, Uniform | LogUniform):
            fix = f"write {{int: [{node.distribution.low:.0f}, {node.distribution.high:.0f}]}}"
        text = f"{rule}, searched by {show(node.distribution.to_plain())}; {fix}"
    return Problem(node.line, name, text)


def _text(found: list[ErrorDetails], path: Path, got: str, values: Mapping[str, Plain]) -> str:
    details = found[0]
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind == "rule":
        return f"{context['rule']}, got {context['got']}; {context['fix']}"
    if kind == "extra_forbidden":
        known = [*_known_keys(path[:-1], values), ONE_OF]
        meant = closest(path[-1], known)
        section = ".".join(path[:-1]) or "a recipe"
        fix = f"did you mean {meant}?" if meant else f"known are {', '.join(known)}"
        return f"must be a key of {section}, got {_clipped(show(path[-1]))}; {fix}"
    if kind == "missing":
        return f"must be given, got nothing; {_how_to_give(path)}"
    if kind == "union_tag_not_found":
        names = ", ".join(_variant_names(path[:-1]))
        return f"must be given, one of {names}, got nothing; add the line name: ..."
    if kind == "union_tag_invalid":
        return _choose_from(_variant_names(path[:-1]), values_at(path, values), got)
    if kind in ("model_type", "model_attributes_type"):
        return f"must be a section, got {got}; write its keys below it, or choose with {ONE_OF}"
    if isinstance(value, dict):
        meant = next((close for key in value if (close := closest(key, DISTRIBUTION_KEYS))), None)
        fix = f"did you mean {meant}?" if meant else f"known are {', '.join(DISTRIBUTION_KEYS)}"
        return f"must be one value or a distribution, got {got}; {fix}"
    if isinstance(value, list):
        return f"must be one value, got {got}; write {{uniform: ...}} or {{choice: ...}} around it"
    if kind in _BOUNDS:
        key, sign, fix = _BOUNDS[kind]
        bound = f"{context[key]:g}"
        return f"must be {sign} {bound}, got {got}; {fix.format(bound=bound)}"
    words = [word for one in found if one["type"] == "literal_error" for word in _words(one)]
    kinds = [_KINDS[one["type"]] for one in found if one["type"] in _KINDS]
    if words and not kinds:
        return _choose_from(words, value, got)
    if kinds:
        rule = " or ".join([*words, *(kind for kind, _ in kinds)])
        meant = closest(value, words)
        return f"must be {rule}, got {got}; {f'did you mean {meant}?' if meant else kinds[0][1]}"
    return f"{details['msg']}, got {got}; see tripletune describe"


def _choose_from(allowed: Sequence[str], value: Plain, got: str) -> str:
    meant = closest(value, allowed)
    fix = f"did you mean {meant}?" if meant else "write one of these"
    listed = ", ".join(allowed)
    if len(allowed) > _MAX_LISTED:
        near = get_close_matches(str(value), allowed, n=_MAX_LISTED, cutoff=0.3)
        listed = f"{len(allowed)} names, such as {', '.join(near or allowed[:_MAX_LISTED])}"
    return f"must be one of {listed}, got {got}; {fix}"


def _how_to_give(path: Path) -> str:
    if path == ("objective",):
        return "add objective: {loss: {name: triplet}}"
    if path == ("objective", "loss"):
        return "add loss: {name: triplet}"
    return f"add {path[-1]}: ..."


def _words(details: ErrorDetails) -> list[str]:
    """The allowed values of a literal; pydantic writes them as 'a', 'b' or 'c'."""
    expected = str(details["ctx"]["expected"])
    return expected.replace(" or ", ", ").replace("'", "").split(", ")


def _got(path: Path, values: Mapping[str, Plain]) -> str:
    value = values_at(path, values)
    return "nothing" if value is None else _clipped(show(value))


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 4]} ..."


def values_at(path: Path, values: Mapping[str, Plain]) -> Plain:
    """The value at a path; None where there is none."""
    value: Plain = dict(values)
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _models_at(path: Path) -> Iterator[type[BaseModel]]:
    """The records that can stand at a path of the recipe: several for a union."""
    models: list[type[BaseModel]] = [Recipe]
    for part in path:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [model for field in fields for model in records_in(field.annotation)]
    yield from dict.fromkeys(models)


def records_in(annotation: Any) -> list[type[BaseModel]]:
    """The records that a field's annotation names: none for a scalar, several for a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in records_in(inner)]


def _variant_names(path: Path) -> list[str]:
    return [get_args(model.model_fields["name"].annotation)[0] for model in _models_at(path)]


def _known_keys(path: Path, values: Mapping[str, Plain]) -> list[str]:
    models = list(_models_at(path))
    if len(models) > 1:
        name = values_at((*path, "name"), values) or "conv4"
        models = [m for m in models if get_args(m.model_fields["name"].annotation) == (name,)]
    return [key for model in models for key in model.model_fields]
