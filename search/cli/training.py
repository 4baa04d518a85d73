"""The commands that train without a search: train."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .app import app
from .arguments import JsonOption, data_values

if TYPE_CHECKING:
    from ...spaces import Recipe


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as best/recipe.yaml.")],
    data: Annotated[str | None, typer.Option(help="Folder, zip or data set, if moved.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to export to.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one recipe, without Ray or a study; it repeats the trial that it came from.

    Example: tripletune train runs/STUDY/best/recipe.yaml --to model
    """
    from ..progress import decoding_progress
    from ..train import train_recipe

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    loaded = _read_recipe(recipe)
    if data is not None:
        values = {key.removeprefix("data."): value for key, value in data_values(data).items()}
        loaded = loaded.model_copy(update={"data": loaded.data.model_copy(update=values)})
    with decoding_progress(Console(stderr=as_json)) as progress:
        report = train_recipe(loaded, say, to, progress)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))


def _read_recipe(path: Path) -> "Recipe":
    from ...spaces import recipe_from_yaml

    if not path.is_file():
        raise FileNotFoundError(f"RECIPE must be a recipe file, got {path}: it does not exist")
    return recipe_from_yaml(path.read_text(encoding="utf-8"), origin=str(path))
