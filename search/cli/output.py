"""What several commands print."""

import json
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ..study import Study


def print_leaderboard(study: "Study", as_json: bool) -> None:
    """Print a study's leaderboard, as a table or for scripts."""
    board = study.leaderboard()
    if as_json:
        typer.echo(json.dumps(board.to_json(), indent=2))
    else:
        board.render_table(Console())
