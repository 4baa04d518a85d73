"""The spaces that the documentation shows are spaces."""

import re
from pathlib import Path

import pytest

from tripletune.spaces import Space

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        (f"{page.name}:{number}", block)
        for page in pages
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1)
    ]


def test_there_are_examples_to_read() -> None:
    assert {name.partition(":")[0] for name, _ in blocks()} >= {"README.md", "objectives.md"}


@pytest.mark.parametrize(("name", "text"), blocks(), ids=[name for name, _ in blocks()])
def test_an_example_of_the_docs_is_a_space(name: str, text: str) -> None:
    space = Space.from_text(text, name)
    assert space.root.entries or space.root.branches
