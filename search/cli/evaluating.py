"""The command that measures a model in every way: evaluate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .app import app
from .arguments import JsonOption, data_values

if TYPE_CHECKING:
    from ...spaces import DataConfig


@app.command()
def evaluate(
    export: Annotated[Path, typer.Argument(help="An exported model, such as runs/STUDY/best.")],
    data: Annotated[str | None, typer.Option(help="Folder, zip or data set, if moved.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="On episodes that did not select the model.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on its validation classes: protocols, retrieval, open world, confusions.

    Example: tripletune evaluate runs/omniglot-20261123-101500/best --fresh
    """
    from ...trainables import evaluate_model, load, load_trial_data
    from ..evaluation_table import evaluation_lines
    from ..progress import decoding_progress

    model = load(export)
    config = _moved(model.recipe.data, data)
    with decoding_progress(Console(stderr=True)) as progress:
        loaded = load_trial_data(config, progress=progress)
    found = evaluate_model(model, loaded, stream="confirm" if fresh else "search")
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(evaluation_lines(found)))


def _moved(config: "DataConfig", data: str | None) -> "DataConfig":
    values = {key.removeprefix("data."): value for key, value in data_values(data).items()}
    return config.model_copy(update=values)
