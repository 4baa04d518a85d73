"""The commands that run a search: search, resume."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..folder import find_study, shown
from .app import app, complain
from .arguments import (
    JsonLinesOption,
    JsonOption,
    RunsOption,
    StudyArgument,
    data_values,
    seconds,
    set_values,
)
from .output import print_leaderboard
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
    from ..live import LiveTable
    from ..study import Study
    from ..trackers import Tracker


@app.command(name="search")
def search_command(
    space: Annotated[
        str, typer.Argument(help="A space file, or a preset: quickstart, mushrooms, ...")
    ] = "quickstart",
    data: Annotated[
        str | None,
        typer.Option(help="CLASS/image or GROUP/CLASS/image, a folder or a zip; or a data set."),
    ] = None,
    trials: TrialsOption = 20,
    time_budget: Annotated[
        str | None, typer.Option(help="Wall-clock limit, such as 90s, 40m or 8h.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Trials at a time; default: what fits.")
    ] = None,
    cpus_per_trial: CpusOption = None,
    gpus_per_trial: Annotated[
        str | None, typer.Option(help="Ray GPUs of a trial; 0.25 packs four on one; or auto.")
    ] = None,
    scheduler: SchedulerOption = Scheduler.ASHA,
    sampler: SamplerOption = Sampler.TPE,
    objectives: Annotated[
        str,
        typer.Option(metavar="NAMES", help="accuracy, and embedding_dim or device_seconds."),
    ] = "accuracy",
    stratify: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Give each its fair share: --stratify objective.loss.name"
        ),
    ] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY", help="Try the best recipes of an earlier study first."),
    ] = None,
    seed: SeedOption = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Fix a value: --set budget.steps=200"),
    ] = None,
    name: NameOption = None,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Train no classifier to compare with.")
    ] = False,
    runs: RunsOption = Path("runs"),
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, such as 10.0.0.5:6379.")
    ] = None,
    elastic: ElasticOption = False,
    storage: Annotated[
        str | None,
        typer.Option(help="s3://, gs:// or file://: keeps studies where no disk is shared."),
    ] = None,
    wandb: Annotated[
        Wandb, typer.Option(help="auto: online with a W&B login, else offline files.")
    ] = Wandb.AUTO,
    no_wandb: NoWandbOption = False,
    wandb_project: WandbProjectOption = "tripletune",
    database: Annotated[
        str | None,
        typer.Option(help="Of the trials: sqlite:///, postgresql://, mysql://; default: a file."),
    ] = None,
    report_deadline: Annotated[
        str | None,
        typer.Option(help="A trial silent for so long fails; default: from the others' reports."),
    ] = None,
    trial_time_limit: Annotated[
        str | None, typer.Option(help="A trial that takes longer fails, such as 2h.")
    ] = None,
    keep_checkpoints: Annotated[
        int, typer.Option(help="Best finished trials that keep a checkpoint.")
    ] = 25,
    as_json: JsonOption = False,
    json_lines: JsonLinesOption = False,
) -> None:
    """Search a space; the best model ends in runs/STUDY/best.

    Example: tripletune search omniglot --data images_background.zip --trials 30
    """
    from ...spaces import Space
    from ..database_url import default_database
    from ..options import SearchOptions, gpus_of
    from ..runner import run_search
    from ..study import Study
    from ..warm_start import warmed

    options = SearchOptions(
        trials=trials,
        time_budget_s=seconds(time_budget),
        concurrency=concurrency,
        elastic=elastic,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_of(gpus_per_trial),
        scheduler=scheduler.value,
        sampler=sampler.value,
        objectives=tuple(objectives.split(",")),
        stratify=stratify,
        seed=seed,
        baselines=not no_baselines,
        address=address,
        kept_in=storage,
        wandb="off" if no_wandb else wandb.value,
        wandb_project=wandb_project,
        database=database if database is not None else default_database(),
        report_deadline_s=seconds(report_deadline, "--report-deadline"),
        trial_time_limit_s=seconds(trial_time_limit, "--trial-time-limit"),
        keep_checkpoints=keep_checkpoints,
    )
    if data == "synthetic":  # a preset of its own: vectors need no encoder
        space, data = f"{space}_synthetic", None
    loaded = Space.load(space).with_values(data_values(data) | set_values(set_ or []))
    live, lines = _live(as_json or json_lines), _lines(json_lines)
    if warm_start:
        earlier = [Study.open(find_study(study, runs)) for study in warm_start]
        loaded = warmed(loaded, earlier, live.message)
    _run(
        lambda: run_search(loaded, options, name=name, runs=runs, live=live, trackers=lines),
        as_json,
        is_quiet=json_lines,
    )


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
    address: Annotated[
        str | None,
        typer.Option(help="Of a running Ray cluster; http://HEAD:8265 goes on there as a job."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="That keeps the study; default: that of its last job.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Of a job: show its output to its end.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Use a cluster that asks nobody for a token.")
    ] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
    json_lines: JsonLinesOption = False,
) -> None:
    """Go on with a study: finished trials stay, unfinished ones go on from their checkpoint.

    Example: tripletune resume omniglot-20261123-101500
    """
    from dataclasses import replace

    from ...cluster.jobs import is_job_address
    from ..options import SearchOptions
    from ..runner import resume

    if is_job_address(address):
        from .cluster import resume_job

        changes = {
            "trials": trials,
            "time_budget_s": seconds(time_budget),
            "concurrency": concurrency,
        }
        resume_job(
            study,
            str(address),
            {key: value for key, value in changes.items() if value is not None}
            # Not that of an earlier start: a limit is of one start.
            | {"time_budget_s": seconds(time_budget)},
            storage=storage,
            follow=follow,
            is_open_allowed=insecure,
            as_json=as_json,
        )
        return
    opened = _opened(study, storage, runs)
    before = SearchOptions.from_dict(dict(opened.settings.options))
    options = replace(
        before,
        trials=trials if trials is not None else before.trials,
        time_budget_s=seconds(time_budget),
        concurrency=concurrency if concurrency is not None else before.concurrency,
        address=address if address is not None else before.address,
    )
    live, lines = _live(as_json or json_lines), _lines(json_lines)
    _run(lambda: resume(opened, options, live=live, trackers=lines), as_json, is_quiet=json_lines)


def _opened(study: str, storage: str | None, runs: Path) -> "Study":
    """A study of this machine, or one that a storage keeps."""
    from ...cluster.storage import Storage
    from ..keeping import fetch_study
    from ..study import Study

    if storage is None:
        return Study.open(find_study(study, runs))
    return Study.open(fetch_study(Storage.parse(storage).child(study), runs))


def _run(search: Callable[[], "Study"], as_json: bool, *, is_quiet: bool) -> None:
    """Run a search to its end or its interruption, and print what there is unless quiet."""
    from ..runner import SearchInterrupted

    try:
        study = search()
    except SearchInterrupted as interruption:
        if not is_quiet:
            print_leaderboard(interruption.study, as_json)
        complain(str(interruption))
        raise typer.Exit(interruption.exit_status) from None
    if is_quiet:
        return
    print_leaderboard(study, as_json)
    if not as_json and study.folder.best.is_dir():
        typer.echo(f"best model  {shown(study.folder.best)}")
        typer.echo(f"look again  {study.folder.command('leaderboard')}")


def _lines(json_lines: bool) -> "list[Tracker]":
    from ..json_lines import JsonLines

    return [JsonLines(sys.stdout)] if json_lines else []


def _live(is_piped: bool) -> "LiveTable":
    from ..live import LiveTable

    return LiveTable(Console(stderr=is_piped))
