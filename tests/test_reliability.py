"""The page of promises names tests that exist, and every fault has one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| fault")
]


def test_every_promise_names_a_test_that_exists() -> None:
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    named = [re.findall(r"`(test_\w+)`", held_by) for _, _, held_by in ROWS]

    assert len(named) > 10
    assert all(named)
    assert {name for names in named for name in names} <= written
