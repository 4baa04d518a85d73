"""What all trials of a search have in common, and why it cannot be searched."""

from collections.abc import Mapping
from types import MappingProxyType

from .distributions import Choice, Distribution

_EQUAL_BUDGETS = "trials are stopped and ranked at equal budgets"
_SAME_EPISODES = "trials are ranked on identical episodes"
_SAME_CLASSES = "trials are ranked on the same held-out classes"

FIXED: Mapping[str, str] = MappingProxyType(
    {
        "version": "it names the format of the recipe",
        "seed": "the luckiest of several seeds is no better than the others",
        "task.name": "trials are ranked by one metric",
        "budget": _EQUAL_BUDGETS,
        "evaluation": _SAME_EPISODES,
        "data.split": _SAME_CLASSES,
        "data.name": _SAME_CLASSES,
        "data.path": _SAME_CLASSES,
        "data.max_corrupt_share": _SAME_CLASSES,
        "data.small_classes": _SAME_CLASSES,
    }
)
"""Reason by dotted path of the recipe; everything below such a path is fixed too."""


def reason_if_fixed(path: tuple[str, ...]) -> str | None:
    """Why a value of the recipe must be the same for all trials; None where it may be searched."""
    for length in range(1, len(path) + 1):
        reason = FIXED.get(".".join(path[:length]))
        if reason:
            return reason
    return None


def rule_against(path: tuple[str, ...], distribution: Distribution) -> str | None:
    """Why this distribution cannot stand here ("rule, got value; fix"); None where it can."""
    got = f"{distribution.KEY}"
    reason = reason_if_fixed(path)
    if reason:
        return f"must be fixed in a space, since {reason}, got {got}; write one value"
    if path[0] == "data" and not isinstance(distribution, Choice):
        return (
            "must be listed by choice, since each data set of a search is decoded once, "
            f"got {got}; write {{choice: [...]}}"
        )
    return None
