"""The command that compares families of recipes: compare."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .app import app, complain
from .arguments import JsonOption, RunsOption, data_values, seconds, set_values
from .confirming import Per


@app.command(name="compare")
def compare_command(
    space: Annotated[str, typer.Argument(help="A space file, or a preset.")],
    per: Annotated[
        Per, typer.Option(help="A family for each loss, or each miner of each loss.")
    ] = Per.LOSS,
    data: Annotated[
        str | None,
        typer.Option(help="CLASS/image or GROUP/CLASS/image, a folder or a zip; or a data set."),
    ] = None,
    trials: Annotated[int, typer.Option(help="Of each family.")] = 10,
    budget: Annotated[
        str | None, typer.Option(help="Device-time of each family, such as 5m.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Fresh seeds for the best of each.")] = 5,
    episodes: Annotated[int, typer.Option(help="Fresh episodes.")] = 10_000,
    concurrency: Annotated[int | None, typer.Option(help="Trials at a time.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Fix a value: --set budget.steps=200"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the comparison; the same one goes on with it.")
    ] = None,
    runs: RunsOption = Path("runs"),
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give every loss (or miner) the same budget, confirm the best of each, and rank them.

    Example: tripletune compare omniglot --data images_background.zip --name losses --trials 10
    """
    from ...spaces import Space
    from ..compare import CompareOptions, compare
    from ..confirm import ConfirmInterrupted
    from ..live import LiveTable
    from ..options import SearchOptions
    from ..runner import SearchInterrupted

    loaded = Space.load(space).with_values(data_values(data) | set_values(set_ or []))
    options = CompareOptions(
        per=per.value,
        device_s=seconds(budget),
        search=SearchOptions(
            trials=trials,
            concurrency=concurrency,
            scheduler="none",
            address=address,
            wandb="off",
        ),
        seeds=seeds,
        episodes=episodes,
    )
    name = name or f"compare-{loaded.name}-{datetime.now():%Y%m%d-%H%M%S}"

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    go_on = f"go on with the same command and --name {name}"
    try:
        content = compare(
            loaded, options, name=name, runs=runs, say=say, live=LiveTable(Console(stderr=as_json))
        )
    except (SearchInterrupted, ConfirmInterrupted) as interruption:
        complain(f"{interruption.args[0].partition('Nothing')[0].partition('Finished')[0]}{go_on}")
        raise typer.Exit(interruption.exit_status) from None
    if as_json:
        typer.echo(json.dumps(content))
    else:
        typer.echo((runs / name / "compare.md").read_text(encoding="utf-8"))
        typer.echo(f"curves  {runs / name / 'curves.png'}")
