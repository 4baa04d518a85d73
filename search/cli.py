"""The command line: search, resume, leaderboard, export, train, describe, schema.

Every command exits 0 when done, also at the end of a time budget, 1 when it failed, 2 when it was
used wrongly, and 128 + the signal when Ctrl-C (130) or SIGTERM (143) ended it. Errors are one
message on standard error without a traceback, which `--debug` shows.
"""

import json
import re
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .. import __version__
from .folder import StudyError, find_study, shown, write_text

if TYPE_CHECKING:
    from ..spaces import Recipe, Value
    from .live import LiveTable
    from .study import Study

app = typer.Typer(
    name="tripletune",
    help="Finds the best siamese or triplet model for your data, judged by one-shot accuracy on "
    "classes that it never saw.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Scheduler(StrEnum):
    """Early stopping, as `SchedulerName`."""

    ASHA = "asha"
    NONE = "none"


class Wandb(StrEnum):
    """Where trials are logged besides the study, as `WandbMode` without `off`."""

    AUTO = "auto"
    ONLINE = "online"
    OFFLINE = "offline"


RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of all studies.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
StudyArgument = Annotated[str, typer.Argument(help="A study's name under --runs, or its folder.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"tripletune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command(name="search")
def search_command(
    space: Annotated[
        str, typer.Argument(help="A space file, or a preset: quickstart, omniglot.")
    ] = "quickstart",
    data: Annotated[
        str | None,
        typer.Option(help="CLASS/image or GROUP/CLASS/image, a folder or a zip; or a data set."),
    ] = None,
    trials: Annotated[int, typer.Option(help="How many, early-stopped ones included.")] = 20,
    time_budget: Annotated[
        str | None, typer.Option(help="Wall-clock limit, such as 90s, 40m or 8h.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Trials at a time; default: what fits.")
    ] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="Ray CPUs of a trial.")] = None,
    gpus_per_trial: Annotated[
        str | None, typer.Option(help="Ray GPUs of a trial; 0.25 packs four on one; or auto.")
    ] = None,
    scheduler: Annotated[
        Scheduler, typer.Option(help="asha stops the worse trials early.")
    ] = Scheduler.ASHA,
    seed: Annotated[int, typer.Option(help="Of the sampler.")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Fix a value: --set budget.steps=200"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the study; default: space and time.")
    ] = None,
    runs: RunsOption = Path("runs"),
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, such as 10.0.0.5:6379.")
    ] = None,
    wandb: Annotated[
        Wandb, typer.Option(help="auto: online with a W&B login, else offline files.")
    ] = Wandb.AUTO,
    no_wandb: Annotated[bool, typer.Option("--no-wandb", help="Log nothing to W&B.")] = False,
    wandb_project: Annotated[str, typer.Option(help="W&B project.")] = "tripletune",
    as_json: JsonOption = False,
) -> None:
    """Search a space; the best model ends in runs/STUDY/best.

    Example: tripletune search omniglot --data images_background.zip --trials 30
    """
    from ..spaces import Space
    from .options import SearchOptions, gpus_of
    from .runner import run_search

    options = SearchOptions(
        trials=trials,
        time_budget_s=_seconds(time_budget),
        concurrency=concurrency,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_of(gpus_per_trial),
        scheduler=scheduler.value,
        seed=seed,
        address=address,
        wandb="off" if no_wandb else wandb.value,
        wandb_project=wandb_project,
    )
    loaded = Space.load(space).with_values(_data_values(data) | _set_values(set_ or []))
    live = _live(as_json)
    _run(lambda: run_search(loaded, options, name=name, runs=runs, live=live), as_json)


@app.command(name="resume")
def resume_command(
    study: StudyArgument,
    trials: Annotated[
        int | None, typer.Option(help="New number of trials of the whole study.")
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Limit of this start, such as 40m.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Trials at a time.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster.")] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Go on with a study: finished trials stay, unfinished ones go on from their checkpoint.

    Example: tripletune resume omniglot-20261123-101500
    """
    from dataclasses import replace

    from .options import SearchOptions
    from .runner import resume
    from .study import Study

    opened = Study.open(find_study(study, runs))
    before = SearchOptions.from_dict(dict(opened.settings.options))
    options = replace(
        before,
        trials=trials if trials is not None else before.trials,
        time_budget_s=_seconds(time_budget),
        concurrency=concurrency if concurrency is not None else before.concurrency,
        address=address if address is not None else before.address,
    )
    live = _live(as_json)
    _run(lambda: resume(opened, options, live=live), as_json)


@app.command()
def leaderboard(
    study: StudyArgument,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the trials of a study, ranked by one-shot accuracy.

    Example: tripletune leaderboard omniglot-20261123-101500 --json
    """
    from .study import Study

    _print_leaderboard(Study.open(find_study(study, runs)), as_json)


@app.command()
def export(
    study: StudyArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder to write.")],
    trial: Annotated[
        int | None, typer.Option(help="Number of a trial; default: the best.")
    ] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write recipe, weights, preprocessing and score of the best trial.

    Example: tripletune export omniglot-20261123-101500 --to model
    """
    from .export import export_best, export_trial
    from .study import Study

    opened = Study.open(find_study(study, runs))
    if trial is None:
        best = export_best(opened, to)
        if best is None:
            raise StudyError(
                f"study {opened.name} has no complete trial to export yet: go on with "
                f"`{opened.folder.command('resume')}`, or choose one with --trial"
            )
    else:
        best = opened.record(trial)
        export_trial(opened, best, to)
    typer.echo(f"exported trial {best.number} of {opened.name} to {to}")


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
    from .progress import decoding_progress
    from .train import train_recipe

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    loaded = _read_recipe(recipe)
    if data is not None:
        values = {key.removeprefix("data."): value for key, value in _data_values(data).items()}
        loaded = loaded.model_copy(update={"data": loaded.data.model_copy(update=values)})
    with decoding_progress(Console(stderr=as_json)) as progress:
        report = train_recipe(loaded, say, to, progress)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))


@app.command()
def describe(
    space: Annotated[str | None, typer.Argument(help="A space file or a preset.")] = None,
    losses: Annotated[
        bool, typer.Option("--losses", help="Print losses and miners, and what fits with what.")
    ] = False,
    encoders: Annotated[
        bool, typer.Option("--encoders", help="Print encoders and heads.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page of the docs.")] = False,
) -> None:
    """Print a space as a tree, with the number of parameters of each branch.

    Example: tripletune describe quickstart
    """
    from .. import spaces
    from ..spaces import Space, preset_names, render_tree

    if losses:
        page = spaces.render_losses_page if markdown else spaces.render_losses
        typer.echo(page(), nl=False)
    if encoders:
        page = spaces.render_encoders_page if markdown else spaces.render_encoders
        typer.echo(page(), nl=False)
    if space is not None:
        typer.echo(render_tree(Space.load(space)))
    elif not (losses or encoders):
        raise ValueError(
            f"SPACE must be a file or one of the presets {', '.join(preset_names())}, got none; "
            "name one, or ask for --losses or --encoders"
        )


@app.command()
def schema(
    to: Annotated[Path | None, typer.Option("--to", help="File to write.")] = None,
) -> None:
    """Write the JSON schema of space files, for completion in editors.

    Example: tripletune schema --to space.schema.json
    """
    from ..spaces import space_schema

    text = json.dumps(space_schema(), indent=2)
    if to is None:
        typer.echo(text)
    else:
        write_text(to, text + "\n")
        typer.echo(f"wrote {to}")


def main() -> None:
    """Run the command line; foreign errors end here as one message and an exit status."""
    debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except (ValueError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        _fail(error, debug, status=2)
    except (StudyError, OSError, RuntimeError, ArithmeticError) as error:
        _fail(error, debug, status=1)


def _fail(error: BaseException, debug: bool, *, status: int) -> None:
    if debug:
        raise error
    _complain(f"error: {error}")
    raise SystemExit(status)


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)


def _run(search: Callable[[], "Study"], as_json: bool) -> None:
    """Run a search to its end or its interruption, and print what there is."""
    from .runner import SearchInterrupted

    try:
        study = search()
    except SearchInterrupted as interruption:
        _print_leaderboard(interruption.study, as_json)
        _complain(str(interruption))
        raise typer.Exit(interruption.exit_status) from None
    _print_leaderboard(study, as_json)
    if not as_json and study.folder.best.is_dir():
        typer.echo(f"best model  {shown(study.folder.best)}")
        typer.echo(f"look again  {study.folder.command('leaderboard')}")


def _live(as_json: bool) -> "LiveTable":
    from .live import LiveTable

    return LiveTable(Console(stderr=as_json))


def _print_leaderboard(study: "Study", as_json: bool) -> None:
    board = study.leaderboard()
    if as_json:
        typer.echo(json.dumps(board.to_json(), indent=2))
    else:
        board.render_table(Console())


def _read_recipe(path: Path) -> "Recipe":
    from ..spaces import recipe_from_yaml

    if not path.is_file():
        raise FileNotFoundError(f"RECIPE must be a recipe file, got {path}: it does not exist")
    return recipe_from_yaml(path.read_text(encoding="utf-8"), origin=str(path))


def _data_values(data: str | None) -> "dict[str, Value]":
    """What `--data` means: the name of a data set, or a path."""
    from ..trainables.data import DATASETS

    if data is None:
        return {}
    if data in DATASETS and data != "folder":
        return {"data.name": data, "data.path": None}
    path = Path(data).expanduser()
    if not path.exists():
        names = ", ".join(name for name in DATASETS if name != "folder")
        raise FileNotFoundError(
            f"--data must be a folder, a zip or one of {names}, got {data}: it does not exist"
        )
    return {"data.name": "folder", "data.path": str(path.resolve())}


def _set_values(pairs: list[str]) -> "dict[str, Value]":
    """Values of `--set`, read as they would be in a space file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"--set must be KEY=VALUE, such as budget.steps=200, got {pair!r}")
        try:
            values[key] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise ValueError(f"--set {key} must be a YAML value, got {value!r}") from error
    return values


def _seconds(text: str | None) -> float | None:
    """Seconds of `90s`, `40m`, `8h` or a bare number of seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None:
        raise ValueError(f"--time-budget must be such as 90s, 40m or 8h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
