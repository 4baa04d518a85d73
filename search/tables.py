"""A leaderboard as a file that other programs read: CSV, or parquet with typed columns."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..trainables.whole_file import whole_file

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

SUFFIXES = (".csv", ".parquet")


def write_table(board: "Leaderboard", path: Path) -> None:
    """Write one row a trial, whole or not at all, in the format that the suffix names.

    A parquet file has the columns of the CSV, typed, and `recipe_json`, the whole recipe.

    Raises:
        ValueError: If the suffix names no format.
        ImportError: If parquet is asked for and pyarrow is not installed.
    """
    if path.suffix == ".csv":
        board.to_csv(path)
    elif path.suffix == ".parquet":
        _write_parquet(board, path)
    else:
        raise ValueError(
            f"the file must end in {' or '.join(SUFFIXES)}, got {path.name}; name it so"
        )


def _write_parquet(board: "Leaderboard", path: Path) -> None:
    try:
        from pyarrow import Table, parquet
    except ImportError as error:
        raise ImportError(
            "parquet needs pyarrow, which is not installed: pip install pyarrow"
        ) from error
    from .leaderboard import CSV_COLUMNS

    rows: list[dict[str, Any]] = []
    for row in board.rows:
        cells = row.to_csv()
        recipe = json.dumps(row.record.recipe.to_dict())
        rows.append({name: cells[name] for name in CSV_COLUMNS} | {"recipe_json": recipe})
    table = Table.from_pylist(rows) if rows else Table.from_pydict({n: [] for n in CSV_COLUMNS})
    with whole_file(path) as file:
        parquet.write_table(table, file)
