"""The command that opens the test split: test."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .app import app
from .arguments import JsonOption, data_values


@app.command(name="test")
def held_out_command(
    export: Annotated[Path, typer.Argument(help="An exported model, such as runs/STUDY/best.")],
    runs: Annotated[
        Path | None,
        typer.Option(help="Score Lake's runs instead: run01/{training,test,class_labels.txt}."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder, zip or data set, if moved.")] = None,
    episodes: Annotated[int, typer.Option(help="To draw from the test classes.")] = 10_000,
    studies: Annotated[Path, typer.Option(help="Folder of all studies.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Open the test split for a finished model; every look is counted in ledger.jsonl.

    Example: tripletune test runs/omniglot-20261123-101500/best --json
    """
    from ...trainables import load
    from ..opening import score_on_runs, score_on_test_side, summary
    from ..progress import decoding_progress

    if runs is not None:
        opening = score_on_runs(export, runs, studies=studies)
    else:
        config = load(export).recipe.data
        if data is not None:
            moved = {key.removeprefix("data."): at for key, at in data_values(data).items()}
            config = config.model_copy(update=moved)
        with decoding_progress(Console(stderr=as_json)) as progress:
            opening = score_on_test_side(
                export, data=config, episodes=episodes, studies=studies, progress=progress
            )
    if as_json:
        typer.echo(json.dumps(opening.to_json()))
    else:
        typer.echo("\n".join(summary(opening)))
