"""The commands that make pages and files of a study: report, tensorboard."""

from pathlib import Path
from typing import Annotated

import typer

from ..folder import find_study, shown
from .app import app
from .arguments import RunsOption, StudyArgument


@app.command()
def report(
    study: StudyArgument,
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write; default: report.html of the study.")
    ] = None,
    model: Annotated[
        bool, typer.Option(help="Look into the best model, which decodes the images.")
    ] = True,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it on this machine, kept new, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(help="Of --serve; 0 takes a free one.")] = 0,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write a study as one HTML page, which needs no network and no server.

    Example: tripletune report omniglot-20261123-101500
    """
    from ..report.page import write_report
    from ..report.server import serve_report
    from ..study import Study

    opened = Study.open(find_study(study, runs))
    if serve:
        serve_report(opened, port=port, with_model=model, say=typer.echo)
        return
    path = opened.folder.report if to is None else to
    if path.is_dir():
        raise IsADirectoryError(f"--to must be a file to write, got the folder {path}")
    write_report(opened, path, with_model=model)
    typer.echo(f"wrote {shown(path.resolve())}")


@app.command()
def tensorboard(
    study: StudyArgument,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder; default: tensorboard/ of the study.")
    ] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write event files for TensorBoard: one run a trial, with its curve and its choices.

    Example: tripletune tensorboard omniglot-20261123-101500
    """
    from ..study import Study
    from ..tensorboard import write_tensorboard

    opened = Study.open(find_study(study, runs))
    folder = opened.folder.path / "tensorboard" if to is None else to
    written = write_tensorboard(opened, folder)
    typer.echo(f"wrote {written} trials; look at them by tensorboard --logdir {shown(folder)}")
