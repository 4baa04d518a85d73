"""A run as W&B holds it, and how it differs from what the study says it should hold."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .run_content import RunContent

MAX_ROWS_NAMED = 3


@dataclass
class FoundRun:
    """What was read of one run, from the server or from files.

    Attributes:
        group: Of the run.
        tags: Of the run.
        config: Without W&B's own entries.
        rows: Of the history, by step.
        summary: The last one.
        is_finished: Whether it was ended, in whatever way.
        is_success: Whether it ended with exit code 0; None where it has not ended.
    """

    group: str = ""
    tags: frozenset[str] = frozenset()
    config: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    is_finished: bool = False
    is_success: bool | None = None


def differences(expected: RunContent, found: FoundRun | None) -> list[str]:
    """Everything in which a run is not what the study says, a line each; empty if it is equal.

    Order does not count, nor do W&B's own fields (`_step`, `_runtime`, `_wandb`, ...) or rows that
    were logged twice with the same values.
    """
    if found is None:
        return ["is missing"]
    return [
        *_attributes(expected, found),
        *_mapping("config", expected.config, found.config),
        *_rows(expected, found),
        *_mapping("summary", expected.summary, found.summary),
    ]


def _attributes(expected: RunContent, found: FoundRun) -> Iterator[str]:
    if found.group != expected.group:
        yield f"group is {found.group!r}, not {expected.group!r}"
    if found.tags != frozenset(expected.tags):
        yield f"tags are {sorted(found.tags)}, not {sorted(expected.tags)}"
    if not found.is_finished:
        yield "was not finished"
    elif found.is_success != (expected.exit_code == 0):
        yield f"ended {'well' if found.is_success else 'badly'}, the trial did not"


def _mapping(what: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name, value in json.loads(json.dumps(dict(expected))).items():
        if name not in found:
            if value is not None:
                yield f"{what} lacks {name}={value!r}"
        elif not _same(value, found[name]):
            yield f"{what} {name} is {_shown(found[name])}, not {_shown(value)}"


def _rows(expected: RunContent, found: FoundRun) -> Iterator[str]:
    wanted = {row.step: row.values for row in expected.rows}
    if not wanted and expected.job_type == "study":
        return
    missing = sorted(wanted.keys() - found.rows.keys())
    if missing:
        yield f"lacks {len(missing)} of {len(wanted)} reports: step {_some(missing)}"
    extra = sorted(found.rows.keys() - wanted.keys())
    if extra:
        yield f"has {len(extra)} reports more than the study: step {_some(extra)}"
    for step in sorted(wanted.keys() & found.rows.keys()):
        for name, value in wanted[step].items():
            if not _same(value, found.rows[step].get(name)):
                seen = _shown(found.rows[step].get(name))
                yield f"step {step} {name} is {seen}, not {_shown(value)}"


def _some(steps: list[int]) -> str:
    shown = ", ".join(map(str, steps[:MAX_ROWS_NAMED]))
    return shown + (", ..." if len(steps) > MAX_ROWS_NAMED else "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _same(left: Any, right: Any) -> bool:
    """Equal, where W&B writes numbers that are not finite as texts."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and not math.isfinite(left):
        try:
            number = float(right)
        except (TypeError, ValueError):
            return False
        return number == left or (math.isnan(number) and math.isnan(left))
    return bool(left == right)
