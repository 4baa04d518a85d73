"""The one table of losses and miners as text: for a terminal, and for the page of the docs."""

import textwrap
from collections.abc import Iterator

from .compatibility import LOSSES, MINERS, RECORDS, numbers_of
from .facts import LossFacts

WIDTH = 80
_LABEL = 12
"""Columns of what stands left of a value."""


def render_losses() -> str:
    """Losses, then miners, at most 80 columns wide."""
    lines: list[str] = []
    for name, facts in LOSSES.items():
        lines += [name, *(line for row in _rows(name, facts) for line in labelled(*row)), ""]
    lines += ["miners", ""]
    for miner, known in MINERS.items():
        lines += [miner, *labelled("keeps", known.keeps), *labelled("source", known.source)]
        needs = ", ".join(_needs(miner))
        lines += [*(labelled("needs", needs) if needs else ()), ""]
    return "\n".join(lines).rstrip() + "\n"


def render_losses_page() -> str:
    """The page of the docs, in Markdown."""
    lines = [
        "# Losses and miners",
        "",
        "Printed by `tripletune describe --losses --markdown` from the table that spaces are",
        "checked against. d is a distance, s a cosine similarity, e a raw embedding and u a unit",
        "one; a, p, n are anchor, positive and negative.",
        "",
        "## Losses",
        "",
        "| loss | numbers, unit, usual range | miners | memory |",
        "|---|---|---|---|",
    ]
    for name, facts in LOSSES.items():
        numbers = "<br>".join(_numbers(name)) or "-"
        miners = ", ".join(facts.miners)
        memory = "yes" if facts.takes_memory else "-"
        lines.append(f"| `{name}` | {numbers} | {miners} | {memory} |")
    for name, facts in LOSSES.items():
        lines += ["", f"### `{name}`", "", f"    {facts.formula}", ""]
        lines += [f"Mean over {facts.reduction}. {_measure(facts).capitalize()}.", ""]
        lines += [f"{facts.source}."]
    lines += ["", "## Miners", "", "| miner | keeps | needs | source |", "|---|---|---|---|"]
    for miner, known in MINERS.items():
        needs = "; ".join(_needs(miner)) or "-"
        lines.append(f"| `{miner}` | {known.keeps} | {needs} | {known.source} |")
    return "\n".join(lines) + "\n"


def _rows(name: str, facts: LossFacts) -> Iterator[tuple[str, str]]:
    yield "formula", facts.formula
    yield "mean over", facts.reduction
    yield "measure", _measure(facts)
    for number in _numbers(name):
        yield "number", number
    yield "miners", ", ".join(facts.miners)
    added = ["variance", *(["memory"] if facts.takes_memory else [])]
    yield "can add", ", ".join(added)
    yield "source", facts.source


def _numbers(name: str) -> list[str]:
    return [
        f"{key}, {number.unit}, usually {number.usual}"
        if number.unit != "-"
        else f"{key}, usually {number.usual}"
        for key, number in numbers_of(RECORDS[name]).items()
    ]


def _measure(facts: LossFacts) -> str:
    if facts.has_proxies:
        return f"{facts.measure} to a learned proxy of each training class"
    return " or ".join(facts.distances) + " distance" if facts.distances else facts.measure


def _needs(miner: str) -> Iterator[str]:
    facts = MINERS[miner]
    if facts.needs_margin:
        yield "a loss with a margin"
    if facts.needs_unit_euclidean:
        yield "Euclidean distance of unit vectors"
    if facts.takes_bank:
        yield "batch, or bank"


def labelled(label: str, text: str) -> list[str]:
    """The text behind its label, wrapped."""
    lines = textwrap.wrap(text, WIDTH - _LABEL - 2, break_on_hyphens=False)
    return [f"  {label if place == 0 else '':{_LABEL}}{line}" for place, line in enumerate(lines)]
