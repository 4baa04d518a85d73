"""What several commands print."""

import json
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ..study import Study


def print_leaderboard(study: "Study", as_json: bool, max_dim: int | None = None) -> None:
    """Print a study's leaderboard, as a table or for scripts."""
    from ..objectives import front, front_line

    board = study.leaderboard(max_dim)
    objectives = study.settings.options.get("objectives", ("accuracy",))
    has_front = len(objectives) > 1
    if as_json:
        content = board.to_json()
        if has_front:
            trials = [record.number for record in front(study.records(), objectives)]
            content["front"] = {"objectives": list(objectives), "trials": trials}
        typer.echo(json.dumps(content, indent=2))
    else:
        board.render_table(Console())
        if has_front:
            typer.echo(front_line(study.records(), objectives))
        left_out = len(study.records()) - len(board.rows)
        if left_out:
            typer.echo(
                f"{left_out} larger {'trial is' if left_out == 1 else 'trials are'} left out: "
                f"stopped before the score at {max_dim} dimensions"
            )
