"""The ledger of a study: a line for every confirmation, and for every look at test data.

`ledger.jsonl` is only ever added to. How often a test split was opened is what it says, so a model
keeps the lines of its own tests beside it, and the study those of all its models.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

LEDGER_FILE = "ledger.jsonl"

Kind = Literal["confirm", "test"]


@dataclass(frozen=True)
class Ledger:
    """The lines of one file, oldest first.

    Attributes:
        path: `ledger.jsonl` of a study or of an export; it need not exist yet.
    """

    path: Path

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a line; when it returns, the line is on the disk.

        Args:
            entry: Plain data, as `new_entry` makes it.
        """
        line = json.dumps(entry, allow_nan=False) + "\n"
        with self.path.open("ab+") as file:
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a line that was cut off keeps a line to itself
                    line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def entries(self, kind: Kind | None = None) -> list[dict[str, Any]]:
        """The lines that can be read, of one kind or all."""
        if not self.path.is_file():
            return []
        found = _readable(self.path.read_text(encoding="utf-8", errors="replace"))
        return [entry for entry in found if kind is None or entry.get("kind") == kind]


def new_entry(kind: Kind, **content: Any) -> dict[str, Any]:
    """A line with its own id and the time."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"kind": kind, "id": uuid.uuid4().hex, "time": now, **content}


def _readable(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off by a full disk or a power loss
        if isinstance(entry, dict):
            yield entry
