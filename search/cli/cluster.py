"""The commands that run a search as a job of a cluster: submit, jobs, logs, stop, fetch."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .app import app, complain
from .arguments import (
    JsonOption,
    RunsOption,
    data_values,
    seconds,
    set_values,
)
from .search_options import (
    CpusOption,
    ElasticOption,
    NameOption,
    NoWandbOption,
    Sampler,
    SamplerOption,
    Scheduler,
    SchedulerOption,
    SeedOption,
    TrialsOption,
    Wandb,
    WandbProjectOption,
)

if TYPE_CHECKING:
    from ...cluster.jobs import Job, JobServer
    from ..submission import Parcel

AddressOption = Annotated[
    str,
    typer.Option(
        help="Of the cluster's dashboard, such as http://10.0.0.5:8265.",
        envvar="TRIPLETUNE_ADDRESS",
        show_envvar=True,
    ),
]
StorageOption = Annotated[
    str,
    typer.Option(
        help="s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, or file:///FOLDER that all nodes mount.",
        envvar="TRIPLETUNE_BUCKET",
        show_envvar=True,
    ),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Use a cluster that asks nobody for a token.")
]
JobArgument = Annotated[str, typer.Argument(help="Id of a job, or a study: its newest job.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Show its output to its end.")]


@app.command()
def submit(
    space: Annotated[str, typer.Argument(help="A space file, or a preset.")],
    address: AddressOption,
    storage: StorageOption,
    data: Annotated[
        str | None,
        typer.Option(help="A folder or a zip, which is sent; s3:// of a zip; a data set."),
    ] = None,
    trials: TrialsOption = 20,
    time_budget: Annotated[str | None, typer.Option(help="Such as 90s, 40m or 8h.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Most trials at a time; default: what fits.")
    ] = None,
    cpus_per_trial: CpusOption = None,
    gpus_per_trial: Annotated[
        str | None, typer.Option(help="Ray GPUs of a trial, fractions too; or auto.")
    ] = None,
    elastic: ElasticOption = False,
    scheduler: SchedulerOption = Scheduler.ASHA,
    sampler: SamplerOption = Sampler.TPE,
    seed: SeedOption = 0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Fix a value.")
    ] = None,
    name: NameOption = None,
    wandb: Annotated[
        Wandb, typer.Option(help="auto: online with WANDB_API_KEY, else offline files.")
    ] = Wandb.AUTO,
    no_wandb: NoWandbOption = False,
    wandb_project: WandbProjectOption = "tripletune",
    follow: FollowOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")
    ] = False,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search a space as a job of a Ray cluster, which needs no copy of your data.

    Example: tripletune submit omniglot --data images.zip --address http://10.0.0.5:8265
    --storage s3://bucket/runs --follow
    """
    from ...cluster.jobs import JobServer
    from ...cluster.storage import Storage
    from ...spaces import Space
    from ..options import SearchOptions, gpus_of
    from ..submission import new_study

    options = SearchOptions(
        trials=trials,
        time_budget_s=seconds(time_budget),
        concurrency=concurrency,
        elastic=elastic,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_of(gpus_per_trial),
        scheduler=scheduler.value,
        sampler=sampler.value,
        seed=seed,
        wandb="off" if no_wandb else wandb.value,
        wandb_project=wandb_project,
    )
    loaded = Space.load(space).with_values(data_values(data) | set_values(set_ or []))
    parcel = new_study(
        loaded, options, storage=Storage.parse(storage), name=name, environment=os.environ
    )
    if dry_run:
        typer.echo(json.dumps(parcel.describe(), indent=2))
        return
    with JobServer.connected(address, os.environ, is_open_allowed=insecure) as server:
        hand_over(parcel, server, follow=follow, as_json=as_json)


def hand_over(parcel: "Parcel", server: "JobServer", *, follow: bool, as_json: bool) -> None:
    """Send a parcel, say where it went, and follow it if asked to."""
    from ...cluster.storage import Storage
    from ..submission import send

    study = parcel.submission.study
    job = send(parcel, server, complain)
    kept = str(Storage.parse(parcel.submission.storage).child(study))
    dashboard = f"{server.address}/#/jobs/{job}"
    if as_json:
        typer.echo(
            json.dumps({"job": job, "study": study, "storage": kept, "dashboard": dashboard})
        )
    else:
        typer.echo(f"job        {job}")
        typer.echo(f"study      {kept}")
        typer.echo(f"dashboard  {dashboard}")
    if follow:
        with _quiet_end(study, server.address):
            _end_with(server.follow(job, _print, complain))
    elif not as_json:
        typer.echo(f"follow     tripletune logs -f {study} --address {server.address}")
        typer.echo(f"stop       tripletune stop {study} --address {server.address}")


def resume_job(
    study: str,
    address: str,
    changes: "dict[str, object]",
    *,
    storage: str | None,
    follow: bool,
    is_open_allowed: bool,
    as_json: bool,
) -> None:
    """Go on with a study as a job of a cluster."""
    from ...cluster.jobs import JobServer
    from ...cluster.storage import Storage
    from ..submission import going_on

    with JobServer.connected(address, os.environ, is_open_allowed=is_open_allowed) as server:
        if storage is None:
            last = server.job(study)
            if not last.is_over:
                raise ValueError(
                    f"study {study} is being run by job {last.id}: stop that one first"
                )
            study, storage = last.study, last.storage
        parcel = going_on(study, changes, storage=Storage.parse(storage), environment=os.environ)
        hand_over(parcel, server, follow=follow, as_json=as_json)


@app.command()
def jobs(
    address: AddressOption, insecure: InsecureOption = False, as_json: JsonOption = False
) -> None:
    """List the jobs that run or ran studies on a cluster, the newest first.

    Example: tripletune jobs --address http://10.0.0.5:8265
    """
    from ...cluster.jobs import JobServer

    with JobServer.connected(address, os.environ, is_open_allowed=insecure) as server:
        found = server.jobs()
    if as_json:
        typer.echo(json.dumps([vars(job) for job in found], indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("job", "status", "started", "driver", "storage"):
        table.add_column(column, overflow="fold")
    for job in found:
        started = f"{datetime.fromtimestamp(job.started):%d %b %H:%M}" if job.started else "-"
        table.add_row(job.id, job.status.lower(), started, job.driver or "-", job.storage)
    Console().print(table if found else f"no job at {address} runs or ran a study")


@app.command()
def logs(
    job: JobArgument,
    address: AddressOption,
    follow: FollowOption = False,
    insecure: InsecureOption = False,
) -> None:
    """Print what a job printed; with -f also what it is going to print.

    Example: tripletune logs -f omniglot-20261123-101500 --address http://10.0.0.5:8265
    """
    from ...cluster.jobs import JobServer

    with JobServer.connected(address, os.environ, is_open_allowed=insecure) as server:
        found = server.job(job)
        if not follow:
            _print(server.logs(found.id))
            return
        with _quiet_end(found.study, server.address):
            _end_with(server.follow(found.id, _print, complain))


@app.command()
def stop(
    job: JobArgument,
    address: AddressOption,
    insecure: InsecureOption = False,
) -> None:
    """Stop a job; its study is whole and can go on.

    Example: tripletune stop omniglot-20261123-101500 --address http://10.0.0.5:8265
    """
    from ...cluster.jobs import STOP_WAIT_S, JobServer

    with JobServer.connected(address, os.environ, is_open_allowed=insecure) as server:
        found = server.job(job)
        if found.is_over:
            typer.echo(f"job {found.id} is over already: {found.status.lower()}")
            return
        server.stop(found.id)
        found = server.wait(found.id, STOP_WAIT_S)
    typer.echo(f"job {found.id} is {found.status.lower()}")
    typer.echo(f"go on      tripletune resume {found.study} --address {address}")


@app.command()
def fetch(
    study: Annotated[str, typer.Argument(help="Name of a study.")],
    storage: StorageOption,
    runs: RunsOption = Path("runs"),
) -> None:
    """Copy a study from its storage to this machine, to look at it and to export its model.

    Example: tripletune fetch omniglot-20261123-101500 --storage s3://bucket/runs
    """
    from ...cluster.storage import Storage
    from ..folder import shown
    from ..keeping import fetch_study

    folder = fetch_study(Storage.parse(storage).child(study), runs)
    typer.echo(f"fetched    {shown(folder.path)}")
    typer.echo(f"look       {folder.command('leaderboard')}")


@app.command(hidden=True)
def drive(submission: Annotated[Path, typer.Argument(help="Written by `submit`.")]) -> None:
    """Run what was submitted, on the node where this is; for `submit` and `resume` alone.

    Example: tripletune drive submission.json
    """
    from ..live import LiveTable
    from ..runner import SearchInterrupted
    from ..submission import Submission, working_copy
    from ..submission import drive as run
    from .output import print_leaderboard

    live = LiveTable(Console(width=120, soft_wrap=True))
    with working_copy() as runs:
        try:
            study = run(Submission.read(submission), runs, live)
        except SearchInterrupted as interruption:
            print_leaderboard(interruption.study, as_json=False)
            complain("stopped: the study is kept and can go on")
            raise typer.Exit(interruption.exit_status) from None
        print_leaderboard(study, as_json=False)


def _print(text: str) -> None:
    typer.echo(text, nl=False)


@contextmanager
def _quiet_end(study: str, address: str) -> Iterator[None]:
    """Ctrl-C ends the watching, not the job."""
    try:
        yield
    except KeyboardInterrupt:
        complain(
            f"\nthe job runs on; watch again with `tripletune logs -f {study} --address {address}`"
        )
        raise typer.Exit(130) from None


def _end_with(job: "Job") -> None:
    complain(f"job {job.id} is {job.status.lower()}")
    if job.status != "SUCCEEDED":
        raise typer.Exit(1)
