"""Reads the `.wandb` files that the client of W&B keeps of each run, record by record.

A file is a header of 7 bytes (the mark `:W&B`, a magic number, a version), then LevelDB's log
format: blocks of 32 KiB with pieces of records, each behind 7 bytes: checksum (4), length (2,
little endian) and kind (1). A record is a `Record` of W&B's protocol.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .found_run import FoundRun

MARK = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32 * 1024

FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def found_in_files(folder: Path) -> dict[str, FoundRun]:
    """Every run that has files under a study's `wandb` folder, by id.

    A run that was interrupted and went on has several files: their rows are put together, and the
    newest file has the last word on the rest.
    """
    found: dict[str, FoundRun] = {}
    paths = sorted(folder.glob("*run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    for path in paths:
        run_id = path.stem.removeprefix("run-")
        read_into(found.setdefault(run_id, FoundRun()), path)
    return found


def read_into(run: FoundRun, path: Path) -> None:
    """Add what one file holds to a run."""
    from wandb.proto import wandb_internal_pb2

    new_record: Any = vars(wandb_internal_pb2)["Record"]  # made at import, unknown to types
    run.is_finished, run.is_success = False, None
    for content in records(path.read_bytes()):
        record = new_record()
        record.ParseFromString(content)
        match record.WhichOneof("record_type"):
            case "run":
                run.group, run.tags = record.run.run_group, frozenset(record.run.tags)
                _update(run.config, record.run.config.update)
            case "config":
                _update(run.config, record.config.update)
            case "history":
                row: dict[str, Any] = {}
                _update(row, record.history.item)
                run.rows.setdefault(row["_step"], {}).update(row)
            case "summary":
                _update(run.summary, record.summary.update)
            case "exit":
                run.is_finished, run.is_success = True, record.exit.exit_code == 0
    run.config.pop("_wandb", None)


def _update(target: dict[str, Any], items: Any) -> None:
    for item in items:
        target["/".join(item.nested_key) or item.key] = json.loads(item.value_json)


def records(content: bytes) -> Iterator[bytes]:
    """The records of a file; one that was cut off while it was written ends the reading.

    Raises:
        ValueError: If it is no file of W&B.
    """
    if content[: len(MARK)] != MARK:
        raise ValueError(f"a .wandb file must begin with {MARK!r}, got {content[:4]!r}")
    position, record = HEADER_BYTES, b""
    while position + HEADER_BYTES <= len(content):
        left_in_block = BLOCK_BYTES - position % BLOCK_BYTES
        if left_in_block < HEADER_BYTES:  # too little for a piece: it is filled up
            position += left_in_block
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        kind = content[position + 6]
        piece = content[position + HEADER_BYTES : position + HEADER_BYTES + length]
        if len(piece) < length or kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        record = piece if kind in (FULL, FIRST) else record + piece
        position += HEADER_BYTES + length
        if kind in (FULL, LAST):
            yield record
