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
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="All that no other beats in accuracy, length and weights."),
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also as an ONNX graph, checked against PyTorch.")
    ] = False,
    false_accept: FalseAcceptOption = None,
    data: Annotated[
        str | None, typer.Option(help="Where the images of the study lie now, if moved.")
    ] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write the best trial's model: recipe, weights, threshold of unknown, scores, model card.

    Example: tripletune export omniglot-20261123-101500 --to model
    """
    from ..export import ExportOptions, export_best, export_pareto, export_trial
    from ..pareto import model_name
    from ..study import Study

    if pareto and (trial is not None or under_dim is not None):
        raise ValueError("--pareto must be given without --trial and --under-dim")
    opened = Study.open(find_study(study, runs))
    path = data_values(data).get("data.path")
    options = ExportOptions(
        false_accept_rate=false_accept,
        data_path=path if isinstance(path, str) else None,
        max_dim=under_dim,
        is_onnx_wanted=onnx,
    )
    if pareto:
        for model in export_pareto(opened, to, options):
            typer.echo(f"exported {model_name(model)} to {to / model_name(model)}")
        return
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
