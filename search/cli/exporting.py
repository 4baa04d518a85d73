"""The commands that write a model: export."""

from pathlib import Path
from typing import Annotated

import typer

from ..folder import StudyError, find_study
from .app import app
from .arguments import RunsOption, StudyArgument, UnderDimOption, data_values

FalseAcceptOption = Annotated[
    float | None,
    typer.Option("--false-accept", help="Share of strangers who may pass; default: 0.05."),
]


@app.command()
def export(
    study: StudyArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder to write.")],
    trial: Annotated[
        int | None, typer.Option(help="Number of a trial; default: the best.")
    ] = None,
    under_dim: UnderDimOption = None,
    false_accept: FalseAcceptOption = None,
    data: Annotated[
        str | None, typer.Option(help="Where the images of the study lie now, if moved.")
    ] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write the best trial's model: recipe, weights, threshold of unknown, scores, model card.

    Example: tripletune export omniglot-20261123-101500 --to model
    """
    from ..export import ExportOptions, export_best, export_trial
    from ..study import Study

    opened = Study.open(find_study(study, runs))
    path = data_values(data).get("data.path")
    options = ExportOptions(
        false_accept_rate=false_accept,
        data_path=path if isinstance(path, str) else None,
        max_dim=under_dim,
    )
    if trial is None:
        best = export_best(opened, to, options)
        if best is None:
            raise StudyError(
                f"study {opened.name} has no complete trial to export yet: go on with "
                f"`{opened.folder.command('resume')}`, or choose one with --trial"
            )
    else:
        best = opened.record(trial)
        export_trial(opened, best, to, options)
    typer.echo(f"exported trial {best.number} of {opened.name} to {to}")
