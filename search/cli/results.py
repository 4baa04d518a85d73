"""The commands that look into a study: leaderboard, export."""

from pathlib import Path
from typing import Annotated

import typer

from ..folder import StudyError, find_study
from .app import app
from .arguments import JsonOption, RunsOption, StudyArgument
from .output import print_leaderboard


@app.command()
def leaderboard(
    study: StudyArgument,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the trials of a study, ranked by one-shot accuracy.

    Example: tripletune leaderboard omniglot-20261123-101500 --json
    """
    from ..study import Study

    print_leaderboard(Study.open(find_study(study, runs)), as_json)


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
    from ..export import export_best, export_trial
    from ..study import Study

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
