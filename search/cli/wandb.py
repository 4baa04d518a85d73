"""The commands for Weights & Biases: wandb sync, wandb verify, wandb workspace."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..folder import find_study
from .app import app, complain
from .arguments import JsonOption, RunsOption, StudyArgument

if TYPE_CHECKING:
    from ..study import Study
    from ..trackers.verify import Verdict

MAX_PROBLEM_LINES = 40

wandb_app = typer.Typer(
    no_args_is_help=True, help="Complete and check what Weights & Biases holds of a study."
)
app.add_typer(wandb_app, name="wandb")

ProjectOption = Annotated[
    str | None, typer.Option(help="W&B project; default: that of the search.")
]


@wandb_app.command()
def sync(
    study: StudyArgument,
    project: ProjectOption = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Upload everything under new run ids.")
    ] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Upload what W&B lacks of a study: runs, reports, summaries, leaderboard, model.

    Made from the study itself, so it is complete whatever happened to W&B during the search.

    Example: tripletune wandb sync omniglot-20261123-101500
    """
    from ..trackers.sync import sync as upload
    from ..trackers.verify import verify_server

    opened = _open(study, runs)
    name = project or _project(opened)
    done = upload(opened, name, is_new=anew, say=lambda line: typer.echo(line, err=as_json))
    verdict = verify_server(opened, name)
    if as_json:
        content = {"uploaded": list(done.uploaded), "failures": done.failures, "url": done.url}
        typer.echo(json.dumps(content | {"verdict": verdict.to_json()}, indent=2))
    else:
        typer.echo(f"uploaded {len(done.uploaded)} runs, {done.num_complete} were complete")
        for run_id, reason in done.failures.items():
            complain(f"{run_id}: {reason}")
        _print(verdict)
    if verdict.problems:
        if not done.failures:
            complain(
                "what W&B holds cannot be changed, only added to: upload the study under new run "
                f"ids with `{opened.folder.command('wandb sync')} --anew`"
            )
        raise typer.Exit(1)
    if done.url and not as_json:
        typer.echo(f"see {done.url}")


@wandb_app.command()
def verify(
    study: StudyArgument,
    project: ProjectOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the files in runs/STUDY/wandb, not the server.")
    ] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Compare what W&B holds with the study; exit 1 and list the differences if there are any.

    Example: tripletune wandb verify omniglot-20261123-101500
    """
    from ..trackers.verify import verify_files, verify_server

    opened = _open(study, runs)
    if offline or (project is None and _is_offline(opened)):
        verdict = verify_files(opened)
    else:
        verdict = verify_server(opened, project or _project(opened))
    if as_json:
        typer.echo(json.dumps(verdict.to_json(), indent=2))
    else:
        _print(verdict)
    if verdict.problems:
        raise typer.Exit(1)


@wandb_app.command()
def workspace(
    study: StudyArgument,
    project: ProjectOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Save a view of a study in W&B: curves, parallel coordinates, importance, run comparer.

    Needs the package wandb-workspaces and a server that takes saved views.

    Example: tripletune wandb workspace omniglot-20261123-101500
    """
    from ..trackers.workspace import save_workspace

    opened = _open(study, runs)
    typer.echo(f"see {save_workspace(opened, project or _project(opened))}")


def _open(study: str, runs: Path) -> "Study":
    from ..study import Study

    return Study.open(find_study(study, runs))


def _project(study: "Study") -> str:
    return str(study.settings.options.get("wandb_project", "tripletune"))


def _is_offline(study: "Study") -> bool:
    """Whether the search wrote files: it was told so, or there is no login."""
    from ..trackers.wandb_uploader.login import decide_mode

    mode = str(study.settings.options.get("wandb", "auto"))
    return mode != "online" and decide_mode("auto" if mode == "off" else mode) != "online"


def _print(verdict: "Verdict") -> None:
    lines = [f"{key}: {line}" for key, found in verdict.problems.items() for line in found]
    for line in lines[:MAX_PROBLEM_LINES]:
        typer.echo(line)
    if len(lines) > MAX_PROBLEM_LINES:
        typer.echo(f"and {len(lines) - MAX_PROBLEM_LINES} differences more: see --json")
    where = "the server" if verdict.where == "server" else "the files"
    if verdict.skipped:
        typer.echo(f"{len(verdict.skipped)} trials are being trained and were not compared")
    if verdict.problems:
        typer.echo(f"{where} of W&B and the study differ in {len(lines)} places")
    else:
        typer.echo(
            f"{where} of W&B and the study are equal: {verdict.num_runs} runs, "
            f"{verdict.num_rows} reports"
        )
