"""Runs a search: space and data in, a study out."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..cluster import open_session
from ..cluster.storage import Storage
from ..spaces import Space
from .datasets import StudyData, changes, load_study_data
from .export import ExportOptions, export_best
from .families import Families
from .folder import StudyError, StudyFolder, new_study_folder
from .keeping import StudyKeeper, keeping, require_shared
from .live import LiveTable
from .options import SearchOptions
from .probe import plan_trials
from .stop_request import StopRequest, disk_problem
from .study import Study
from .study_settings import StudySettings, versions
from .trackers import DashboardNotes, Tracker, WandbTracker
from .tuning import tune_study

logger = logging.getLogger(__name__)

TRACKER_CLOSE_S = 15.0
"""How long the end of a search waits for W&B."""

INTERRUPTED_CLOSE_S = 3.0
"""The same where a person, or a cluster that will kill us, waits for the end."""


class SearchInterrupted(Exception):  # noqa: N818  # asked for, so no error
    """A search that had to end before its last trial; its study is whole and can go on.

    Attributes:
        study: What there is so far.
        exit_status: For a command line: 128 + the number of the signal, else 1.
    """

    def __init__(self, study: Study, reason: str, signal_number: int | None) -> None:
        super().__init__(
            f"stopped: {reason}. Nothing is lost; go on with: {study.folder.command('resume')}"
        )
        self.study = study
        self.exit_status = 1 if signal_number is None else 128 + signal_number


def run_search(
    space: Space,
    options: SearchOptions | None = None,
    *,
    name: str | None = None,
    runs: Path | str = "runs",
    live: LiveTable | None = None,
    trackers: Sequence[Tracker] = (),
) -> Study:
    """Search a space and keep everything in `runs/NAME`.

    Args:
        space: What may be tried, on which data.
        options: How the search runs.
        name: Of the study; by default the space's name and the time.
        runs: Folder of all studies.
        live: Shows the search while it runs; by default nothing does.
        trackers: Told of everything besides.

    Returns:
        The study; its best trial is exported to `runs/NAME/best`.

    Raises:
        StudyError: If the study exists, its folder cannot be written, or Ray fails.
        SearchInterrupted: At Ctrl-C, SIGTERM, or when the disk is nearly full.
        ValueError: If the name or the data cannot be used, or a trial can never fit the machines.
        ConnectionError: If the Ray cluster cannot be reached.
    """
    options = options or SearchOptions()
    live = live or LiveTable.silent()
    name = name or f"{space.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = new_study_folder(name, Path(runs))
    if options.kept_in is not None:
        folder = replace(folder, storage=Storage.parse(options.kept_in).child(name))
    space = _with_absolute_path(space)
    folder.require_new(space.text)
    problem = disk_problem(folder)
    if problem:
        raise StudyError(f"{problem}: free some, or choose another folder with --runs")
    if options.stratify:
        Families.of(space, options.stratify)  # refuses what no choice decides
    # Before anything is written: data that cannot be used leave no study behind.
    live.message(f"loading the data of {space.name}")
    with live.progress("decoding") as progress:
        data = load_study_data(space, live.message, progress)
    settings = StudySettings(
        space=space.text,
        options=options.to_dict(),
        data=data.description,
        episodes=data.episodes,
        baselines=data.baselines,
        versions=versions(),
        database=options.database,
    )
    with ExitStack() as claim:

        def create() -> Study:
            folder.make()
            claim.enter_context(folder.claimed())
            study = Study.create(folder, settings)
            claim.enter_context(study.storage_claimed())
            return study

        return _run(folder, create, space, options, data, live, trackers)


def resume(
    study: Study,
    options: SearchOptions | None = None,
    *,
    live: LiveTable | None = None,
    trackers: Sequence[Tracker] = (),
) -> Study:
    """Go on with a study: finished trials stay, unfinished ones go on from their checkpoint.

    Args:
        study: That was interrupted, or that shall get more trials.
        options: Of this start; by default those the study was started with.
        live: Shows the search while it runs.
        trackers: Told of everything besides.

    Returns:
        The same study.

    Raises:
        StudyError: If the data are not those of the study, or another process runs it.
        SearchInterrupted: At Ctrl-C, SIGTERM, or when the disk is nearly full.
    """
    options = options or SearchOptions.from_dict(dict(study.settings.options))
    live = live or LiveTable.silent()
    with study.claimed():
        live.message(f"loading the data of {study.name}")
        with live.progress("decoding") as progress:
            data = load_study_data(study.space, live.message, progress)
        problems = changes(study.settings.data, data)
        if data.episodes != study.settings.episodes:
            problems.append(f"episodes were {study.settings.episodes}, are {data.episodes}")
        if problems:
            raise StudyError(
                f"the data are not those of study {study.name}: {'; '.join(problems)}. Scores on "
                "other data cannot be compared: start a new search"
            )

        def settle() -> Study:
            study.change_options(options.to_dict())
            study.settle()
            return study

        return _run(study.folder, settle, study.space, options, data, live, trackers)


def _with_absolute_path(space: Space) -> Space:
    """The space with its data where they are now, for a resume from another folder."""
    config = space.data_configs()[0]
    paths = {"data.path": config.path, "data.split.path": config.split.path}
    return space.with_values(
        {
            name: str(Path(path).resolve())
            for name, path in paths.items()
            if path and Path(path).exists()  # a set inside a library has a name alone
        }
    )


def _run(
    folder: StudyFolder,
    begin: Callable[[], Study],
    space: Space,
    options: SearchOptions,
    data: StudyData,
    live: LiveTable,
    more: Sequence[Tracker],
) -> Study:
    """One start of a search, to its end or to the first reason to stop.

    Args:
        folder: Of the study.
        begin: Makes the study, or readies it for this start; called when Ray is there and has room
            for a trial, so that a wrong address or option changes nothing on the disk.
        space: What may be tried.
        options: Of this start.
        data: Of the study.
        live: Shows the search.
        more: Trackers of the caller.
    """
    stop = StopRequest(folder, options.time_budget_s)
    with keeping(folder, live.message, stop.ask) as keeper:
        return _start(folder, begin, space, options, data, live, more, stop, keeper)


def _start(
    folder: StudyFolder,
    begin: Callable[[], Study],
    space: Space,
    options: SearchOptions,
    data: StudyData,
    live: LiveTable,
    more: Sequence[Tracker],
    stop: StopRequest,
    keeper: StudyKeeper | None,
) -> Study:
    """As `_run`, with the study claimed."""
    from .shipping import ship  # imports Ray

    with ExitStack() as watched:
        watched.enter_context(stop.on_signals())
        trackers: list[Tracker] = [*([] if keeper is None else [keeper]), live, *more]
        with ExitStack() as stack:
            live.message("starting Ray")
            session = stack.enter_context(open_session(options.address))
            require_shared(folder, num_nodes=len(session.nodes()))
            plan, packing = plan_trials(session.nodes(), options, space, data, live.message)
            live.message(plan.reason)
            study = begin()
            study.set_slots(plan.concurrency)
            if options.wandb != "off":
                trackers.append(
                    WandbTracker(
                        study.name,
                        study.folder.path,
                        options.wandb_project,
                        options.wandb,
                        warn=live.message,
                    )
                )
            # After W&B's: its notes hold the link.
            trackers.append(DashboardNotes(study))
            watched.callback(_close, trackers, stop)
            live.open(
                study.records(),
                options.trials,
                study.settings.baselines,
                study=study.name,
                slots=plan.concurrency,
            )
            tune_study(
                study,
                space,
                options,
                plan,
                packing,
                {
                    key: ship(value, is_one_machine=options.address is None)
                    for key, value in data.datasets.items()
                },
                trackers,
                stop,
                session_lives_on=session.is_borrowed,
                nodes=session.nodes,
                say=live.message,
            )
        interruption = stop.reason and SearchInterrupted(study, stop.reason, stop.signal_number)
        try:
            study.leaderboard().to_csv(study.folder.leaderboard)
            export_best(study, study.folder.best, ExportOptions(datasets=data.datasets))
        except OSError as error:
            live.message(f"the leaderboard and the best model could not be written: {error}")
            if not interruption:
                raise
        _end(trackers, study)
    if interruption:
        if not stop.is_planned:
            raise interruption
        live.message(str(interruption))
    return study


def _end(trackers: Sequence[Tracker], study: Study) -> None:
    for tracker in trackers:
        try:
            tracker.study_ended(study)
        except Exception:  # a tracker must never cost a search
            logger.warning("%s failed at the end of the search", tracker, exc_info=True)


def _close(trackers: Sequence[Tracker], stop: StopRequest) -> None:
    timeout_s = TRACKER_CLOSE_S if stop.signal_number is None else INTERRUPTED_CLOSE_S
    # The live table last: W&B may have a warning to show.
    for tracker in reversed(trackers):
        tracker.close(timeout_s)
