"""The commands that look into a study: leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from ..folder import find_study
from .app import app
from .arguments import JsonOption, RunsOption, StudyArgument, UnderDimOption
from .output import print_leaderboard


@app.command()
def leaderboard(
    study: StudyArgument,
    under_dim: UnderDimOption = None,
    runs: RunsOption = Path("runs"),
    to: Annotated[
        Path | None, typer.Option("--to", help="Write a .csv or .parquet instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the trials of a study, ranked by one-shot accuracy.

    Example: tripletune leaderboard omniglot-20261123-101500 --under-dim 32
    """
    from ..study import Study
    from ..tables import write_table

    opened = Study.open(find_study(study, runs))
    if to is None:
        print_leaderboard(opened, as_json, under_dim)
        return
    write_table(opened.leaderboard(under_dim), to)
    typer.echo(f"wrote {to}")
