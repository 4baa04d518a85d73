"""A space as a readable tree, in plain text."""

import textwrap
from collections.abc import Iterator

from .recipe import Recipe
from .sections import Fixed, Searched, Section, SpaceNode, parameters
from .source import show
from .space import Space

TREE_WIDTH = 80


def render_tree(space: Space) -> str:
    """The space branch by branch, at most 80 columns wide.

    A searched value stands on its own line with its distribution; fixed ones share lines. Each
    section and branch says how many parameters it holds.
    """
    fewest, most = _num_active(space.root)
    active = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    title = f"{space.name}: {_count(space.root)}, {active} of them in a trial"
    lines = [title, "", *_body(space.root, TREE_WIDTH, is_root=True)]
    left_out = [key for key in Recipe.model_fields if key not in _keys(space.root)]
    if left_out:
        lines += ["", *textwrap.wrap(f"defaults: {', '.join(left_out)}", TREE_WIDTH)]
    return "\n".join(lines) + "\n"


def _body(section: Section, width: int, *, is_root: bool = False) -> list[str]:
    """The lines below a section's heading, none wider than `width`."""
    values: list[tuple[str, Fixed | Searched]] = []
    blocks: list[tuple[str, Section]] = []
    for key, node in section.entries:
        if isinstance(node, Section) and (is_root or _has_branches(node)):
            blocks.append((key, node))
        else:
            values += _flat(key, node)
    fixed = [
        f"{key}={show(node.value, is_bare=True)}"
        for key, node in values
        if isinstance(node, Fixed)
    ]
    lines = _wrapped(", ".join(fixed), width)
    for key, node in values:
        if isinstance(node, Searched):
            lines += _wrapped(f"{key}  {node.distribution}", width)
    for key, block in blocks:
        lines += [_heading(key, block), *_indented(_body(block, width - 3), "   ")]
    for place, (label, branch) in enumerate(section.branches):
        is_last = place == len(section.branches) - 1
        lines.append(("└─ " if is_last else "├─ ") + _heading(label, branch))
        lines += _indented(_body(branch, width - 6), "      " if is_last else "│     ")
    return lines


def _flat(key: str, node: SpaceNode) -> Iterator[tuple[str, Fixed | Searched]]:
    if isinstance(node, Section):
        for inner, below in node.entries:
            yield from _flat(f"{key}.{inner}", below)
    else:
        yield key, node


def _has_branches(section: Section) -> bool:
    nested = (node for _, node in section.entries if isinstance(node, Section))
    return bool(section.branches) or any(_has_branches(node) for node in nested)


def _heading(key: str, section: Section) -> str:
    choice = f"one of {len(section.branches)}" if section.branches else ""
    count = _count(section) if any(parameters(section)) else ""
    told = ", ".join(part for part in (choice, count) if part)
    return f"{key}  ({told})" if told else key


def _count(section: Section) -> str:
    number = len(list(parameters(section)))
    return "1 parameter" if number == 1 else f"{number} parameters"


def _num_active(section: Section) -> tuple[int, int]:
    """The fewest and the most parameters that a trial of the section has."""
    fewest = most = 0
    for _, node in section.entries:
        if isinstance(node, Section):
            low, high = _num_active(node)
        else:
            low = high = int(isinstance(node, Searched))
        fewest, most = fewest + low, most + high
    if section.branches:
        inner = [_num_active(branch) for _, branch in section.branches]
        fewest += 1 + min(low for low, _ in inner)
        most += 1 + max(high for _, high in inner)
    return fewest, most


def _keys(root: Section) -> set[str]:
    keys = {key for key, _ in root.entries}
    return keys.union(*(_keys(branch) for _, branch in root.branches))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _indented(lines: list[str], prefix: str) -> list[str]:
    return [f"{prefix}{line}" for line in lines]
