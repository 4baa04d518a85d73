"""The JSON schema of a space file, with which an editor completes and checks it.

It is derived from the recipe's own schema. It cannot say which values go together, nor that a key
stands once on the two sides of a `one_of`; reading the space does.
"""

import inspect
import re
from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel

from .distributions import Choice, Int, LogUniform, Uniform
from .explain import records_in
from .fixed import FIXED, reason_if_fixed
from .points import POINTS
from .recipe import Recipe
from .sections import ONE_OF, Path
from .source import Plain

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Plain]

_LABELS = "^[A-Za-z][A-Za-z0-9_-]*$"
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def space_schema() -> Schema:
    """The JSON schema, draft 2020-12, of a space file.

    A scalar may be a distribution, and a section may choose a branch by `one_of`, except where a
    space must be fixed (`FIXED`). What a section requires is left to reading the space: a branch
    may give it.
    """
    definitions: Schema = {}
    root = _section([Recipe], (), definitions)
    recipe = cast(dict[str, Schema], definitions["recipe"])
    # At the top of the file only, which a schema cannot say of what branches share with it.
    recipe["properties"][POINTS] = {
        "description": "What a search tries first: values of some parameters, by name.",
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": {"type": ["boolean", "number", "string", "null"]},
        },
    }
    return {
        "$schema": DIALECT,
        "title": "A space of tripletune",
        **root,
        "$defs": definitions,
    }


def _section(models: list[type[BaseModel]], path: Path, definitions: Schema) -> Schema:
    """Schema of a section: any of the records, each with its keys, or `one_of` beside them."""
    has_choice = reason_if_fixed(path) is None
    parts: list[Plain] = [_record(model, models, path, definitions) for model in models]
    schema: Schema = cast(Schema, parts[0]) if len(parts) == 1 else {"anyOf": parts}
    if has_choice:
        name = ".".join(path) or "recipe"
        definitions[name] = schema
        for part in parts:
            assert isinstance(part, dict)
            keys = part["properties"]
            assert isinstance(keys, dict)
            keys[ONE_OF] = {
                "description": "Labels with a section each; a trial takes one of them.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": _LABELS},
                "additionalProperties": {"$ref": f"#/$defs/{name}"},
            }
        if path:
            return {"$ref": f"#/$defs/{name}"}
        return {"$ref": "#/$defs/recipe"}
    return schema


def _record(
    model: type[BaseModel], variants: list[type[BaseModel]], path: Path, definitions: Schema
) -> Schema:
    written = model.model_json_schema()
    texts = _descriptions(model)
    properties: Schema = {}
    for key, field in model.model_fields.items():
        inner = (*path, key)
        records = records_in(field.annotation)
        if records:
            schema = _section(records, inner, definitions)
        else:
            scalar = cast(Schema, cast(Schema, written["properties"])[key])
            scalar = {name: value for name, value in scalar.items() if name != "title"}
            names = [one.model_fields["name"].default for one in variants if key == "name"]
            schema = _value(scalar, cast(list[Plain], names), inner)
        text = " ".join([texts.get(key, ""), _reason(inner)]).strip()
        properties[key] = {"description": text, **schema} if text else schema
    return {
        "type": "object",
        "description": inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0],
        "properties": properties,
        "additionalProperties": False,
    }


def _value(scalar: Schema, variants: list[Plain], path: Path) -> Schema:
    """Schema of a scalar, or of a distribution of it where it may be searched."""
    if reason_if_fixed(path):
        return scalar
    default = {key: scalar.pop(key) for key in ("default",) if key in scalar}
    item: Plain = {"enum": variants} if len(variants) > 1 else scalar
    ways: list[Plain] = [
        scalar,
        _keyed(Choice.KEY, {"type": "array", "minItems": 1, "items": item}),
    ]
    kinds = _types(scalar)
    bounds: Schema = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}}
    if path[0] != "data" and kinds & {"integer", "number"}:
        whole: Schema = {**bounds, "items": {"type": "integer"}}
        step: Schema = {"type": "integer", "minimum": 1}
        ways.append(_keyed(Int.KEY, whole, {"step": step}))
    if "number" in kinds:
        ways += [_keyed(Uniform.KEY, bounds), _keyed(LogUniform.KEY, bounds)]
    return {**default, "anyOf": ways}


def _keyed(key: str, value: Schema, others: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "required": [key],
        "properties": {key: value, **(others or {})},
        "additionalProperties": False,
    }


def _types(scalar: Mapping[str, Plain]) -> set[str]:
    """The JSON types that the schema names, in itself or in its alternatives."""
    ways = scalar.get("anyOf", [scalar])
    assert isinstance(ways, list)
    return {str(way["type"]) for way in ways if isinstance(way, dict) and "type" in way}


def _descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What the docstring says of each attribute."""
    _, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    return {key: " ".join(text.split()) for key, text in _ATTRIBUTE.findall(attributes)}


def _reason(path: Path) -> str:
    reason = FIXED.get(".".join(path))
    return f"Fixed in a space: {reason}." if reason else ""
