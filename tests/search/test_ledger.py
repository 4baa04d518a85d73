"""The ledger: only added to, and read whatever a crash left in it."""

from pathlib import Path

from tripletune.search.ledger import Ledger, new_entry


def test_lines_are_added_and_read_by_kind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.entries() == []

    first = new_entry("confirm", trial=3)
    second = new_entry("test", one_shot_accuracy=0.5)
    ledger.add(first)
    ledger.add(second)

    assert ledger.entries() == [first, second]
    assert ledger.entries("test") == [second]
    assert first["id"] != second["id"]
    assert first["time"].endswith("+00:00")


def test_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    whole, torn, next_one = (new_entry("test", number=number) for number in range(3))
    ledger.add(whole)
    ledger.add(torn)
    with ledger.path.open("rb+") as file:
        file.truncate(ledger.path.stat().st_size - 9)

    ledger.add(next_one)

    assert ledger.entries() == [whole, next_one]
