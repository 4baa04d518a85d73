"""What makes two studies of one name two studies: their spaces and their data."""

from collections.abc import Mapping
from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML

MAX_SHOWN: Final = 5


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between the settings of two studies, as `key was ..., is ...`.

    Args:
        before: Settings of the one that is there, as `study.yaml` holds them.
        after: Of the one that shall be made.

    Returns:
        At most `MAX_SHOWN` differences and how many more there are; none if the trials of both
        can be compared.
    """
    pairs = _pairs(_flat(_read(before["space"])), _flat(_read(after["space"])))
    # Another data section is a difference of the spaces; the same one may hold other files.
    for section in before["data"].keys() & after["data"].keys():
        for name in ("fingerprint", "split"):
            was, now = before["data"][section].get(name), after["data"][section].get(name)
            if was != now:
                pairs.append(f"{name} of the data was {was}, is {now}")
    if before["episodes"] != after["episodes"]:
        pairs.append(f"episodes was {before['episodes']}, is {after['episodes']}")
    shown = pairs[:MAX_SHOWN]
    if len(pairs) > len(shown):
        shown.append(f"{len(pairs) - len(shown)} more")
    return shown


def space_differences(before: str, after: str) -> list[str]:
    """The same of the texts of two spaces alone."""
    nothing = {"data": {}, "episodes": ""}
    return differences({"space": before, **nothing}, {"space": after, **nothing})


def _read(text: str) -> Any:
    return YAML(typ="safe").load(StringIO(text))


def _pairs(before: dict[str, str], after: dict[str, str]) -> list[str]:
    nothing = "nothing"
    return [
        f"{key} was {before.get(key, nothing)}, is {after.get(key, nothing)}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Every leaf by its dotted key; a list is one leaf."""
    if not isinstance(content, Mapping):
        return {prefix: str(content)}
    flat: dict[str, str] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
