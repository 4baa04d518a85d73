"""The commands that train without a search: train, replay."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..folder import shown
from .app import app
from .arguments import JsonOption, RunsOption, data_values, set_values

if TYPE_CHECKING:
    from ...spaces import Recipe, Value


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as best/recipe.yaml.")],
    data: Annotated[str | None, typer.Option(help="Folder, zip or data set, if moved.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a value: --set objective.loss.margin=0.3"
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to export to as well.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the study that keeps it; default: loss and time.")
    ] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train one recipe, without Ray or a search; it repeats the trial that it came from.

    It is kept as a study of one trial: leaderboard, report and export take its name.

    Example: tripletune train runs/STUDY/best/recipe.yaml --set seed=1
    """
    from ..progress import decoding_progress
    from ..train import new_training_folder, train_recipe

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    loaded = _read_recipe(recipe, data_values(data) | set_values(set_ or []))
    folder = new_training_folder(name, loaded, runs)
    with decoding_progress(Console(stderr=as_json)) as progress:
        report = train_recipe(loaded, say, to, progress, study=folder)
    say(f"best model  {shown(folder.best)}")
    say(f"as a page   {folder.command('report')}")
    if as_json:
        typer.echo(json.dumps(report.to_dict()))


@app.command()
def replay(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An exported folder.")],
    data: Annotated[
        str | None, typer.Option(help="Folder or zip of its images, if moved.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train an export's recipe again on the same data; exit 0 if the score is in its interval.

    Example: tripletune replay runs/STUDY/best
    """
    from ..progress import decoding_progress
    from ..replay import replay as replay_export

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    path = data_values(data).get("data.path")
    with decoding_progress(Console(stderr=as_json)) as progress:
        outcome = replay_export(
            model, say, data_path=path if isinstance(path, str) else None, progress=progress
        )
    low, high = outcome.interval
    say(
        f"recorded {outcome.recorded:.4f} [{low:.4f}, {high:.4f}], replayed "
        f"{outcome.replayed:.4f}: "
        + (
            "outside the interval"
            if not outcome.is_inside
            else "the same curve, bit for bit"
            if outcome.is_equal
            else "inside the interval"
        )
    )
    if as_json:
        typer.echo(json.dumps(outcome.to_dict()))
    if not outcome.is_inside:
        raise typer.Exit(1)


def _read_recipe(path: Path, values: "dict[str, Value]") -> "Recipe":
    from ...spaces import Space, recipe_from_yaml

    if not path.is_file():
        raise FileNotFoundError(f"RECIPE must be a recipe file, got {path}: it does not exist")
    text = path.read_text(encoding="utf-8")
    if values:
        text = Space.from_text(text, str(path)).with_values(values).text
    return recipe_from_yaml(text, origin=str(path))
