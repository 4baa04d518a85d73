"""The command that trains finalists again: confirm."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..folder import find_study
from .app import app, complain
from .arguments import JsonOption, RunsOption, StudyArgument
from .output import print_leaderboard


class Per(StrEnum):
    """What makes a family, as `Family`."""

    LOSS = "loss"
    MINER = "miner"


@app.command(name="confirm")
def confirm_command(
    study: StudyArgument,
    top: Annotated[int, typer.Option(help="Finalists from the top of the leaderboard.")] = 5,
    seeds: Annotated[int, typer.Option(help="Fresh seeds for each.")] = 5,
    per: Annotated[
        Per | None, typer.Option(help="The best of every loss, or of every miner, too.")
    ] = None,
    episodes: Annotated[int, typer.Option(help="Fresh episodes.")] = 10_000,
    concurrency: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="Ray CPUs of a run.")] = None,
    gpus_per_trial: Annotated[float | None, typer.Option(help="Ray GPUs of a run.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster.")] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train the best again from fresh seeds, scored on fresh episodes; goes on where it stopped.

    Example: tripletune confirm omniglot-20261123-101500 --top 5 --seeds 5 --per loss
    """
    from ..confirm import ConfirmInterrupted, ConfirmOptions, confirm
    from ..progress import decoding_progress
    from ..study import Study

    options = ConfirmOptions(
        top=top,
        seeds=seeds,
        per=per.value if per else None,
        episodes=episodes,
        concurrency=concurrency,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        address=address,
    )
    opened = Study.open(find_study(study, runs))

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    try:
        with decoding_progress(Console(stderr=as_json)) as progress:
            confirm(opened, options, say, progress)
    except ConfirmInterrupted as interruption:
        complain(str(interruption))
        raise typer.Exit(interruption.exit_status) from None
    print_leaderboard(opened, as_json)
