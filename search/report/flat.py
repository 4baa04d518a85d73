"""Recipes as dotted keys."""

from collections.abc import Mapping, Sequence
from typing import Any

Flat = dict[str, Any]


def flattened(values: Mapping[str, Any], prefix: str = "") -> Flat:
    """Nested mappings as one, with dotted keys."""
    flat: Flat = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def divided(recipes: Sequence[Flat]) -> tuple[Flat, list[str]]:
    """What all recipes have in common, and the keys in which they differ.

    Returns:
        The common values, and the other keys in the order in which they are met.
    """
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    common: Flat = {}
    varying: list[str] = []
    for key in keys:
        values = [recipe.get(key, _ABSENT) for recipe in recipes]
        if all(value == values[0] for value in values):
            common[key] = values[0]
        else:
            varying.append(key)
    return common, varying


_ABSENT = object()
