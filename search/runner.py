"""Runs a search: space and data in, a study out."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType

from ..cluster import SlotPlan, open_session, plan_slots
from ..spaces import Space
from .datasets import StudyData, changes, load_study_data
from .export import export_best
from .folder import RESERVE_BYTES, StudyError, StudyFolder, trial_folder_name
from .live import LiveTable
from .options import SearchOptions
from .study import Study, StudySettings, versions
from .trackers import Tracker, WandbTracker

TRACKER_CLOSE_S = 15.0
"""How long the end of a search waits for W&B."""

DISK_CHECK_S = 2.0

MAX_LOST_PROCESSES = 3
"""How often the process of a trial may die before the trial has failed."""


class StopRequest:
    """Whether and why the search should end: a signal, the time budget, a full disk."""

    def __init__(self, folder: StudyFolder, time_budget_s: float | None) -> None:
        """Watch over one start of a search."""
        self._folder = folder
        self._deadline = time.monotonic() + time_budget_s if time_budget_s else None
        self._next_disk_check = 0.0
        self.reason: str | None = None

    def __call__(self) -> bool:
        """Whether to end now."""
        now = time.monotonic()
        if self.reason is None and self._deadline is not None and now > self._deadline:
            self.reason = "the time budget is used up"
        if self.reason is None and now > self._next_disk_check:
            self._next_disk_check = now + DISK_CHECK_S
            self.reason = disk_problem(self._folder)
        return self.reason is not None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for the end; a second one takes effect at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: FrameType | None) -> None:
            which = signal.Signals(number)
            self.reason = "Ctrl-C" if which == signal.SIGINT else which.name
            signal.signal(which, previous[which])

        previous = {
            number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def disk_problem(folder: StudyFolder) -> str | None:
    """Why the disk cannot hold the study, or None."""
    free = folder.free_bytes()
    if free >= RESERVE_BYTES:
        return None
    return (
        f"the disk is nearly full: {free // 2**20} MiB left in {folder.path}, "
        f"{RESERVE_BYTES // 2**20} are kept in reserve"
    )


def run_search(
    space: Space,
    options: SearchOptions | None = None,
    *,
    name: str | None = None,
    runs: Path | str = "runs",
    live: LiveTable | None = None,
) -> Study:
    """Search a space and keep everything in `runs/NAME`.

    Args:
        space: What may be tried, on which data.
        options: How the search runs.
        name: Of the study; by default the space's name and the time.
        runs: Folder of all studies.
        live: Shows the search while it runs; by default nothing does.

    Returns:
        The study; its best trial is exported to `runs/NAME/best`.

    Raises:
        StudyError: If the study exists, or its folder cannot be written.
        ValueError: If the data cannot be used, or a trial can never fit the machines.
        ConnectionError: If the Ray cluster cannot be reached.
    """
    options = options or SearchOptions()
    live = live or LiveTable.silent()
    name = name or f"{space.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = StudyFolder((Path(runs) / name).resolve())
    if folder.settings.exists():
        raise StudyError(
            f"study {name} exists in {folder.path}: continue it with `tripletune resume {name}`, "
            "or choose another --name"
        )
    _make(folder)
    live.message(f"loading the data of {space.name}")
    data = load_study_data(space, live.message)
    settings = StudySettings(
        space=space.text,
        options=options.to_dict(),
        data=data.description,
        episodes=data.episodes,
        baselines=data.baselines,
        versions=versions(),
    )
    study = Study.create(folder, settings)
    with study.claimed():
        _run(study, space, options, data, live)
    return study


def resume(
    study: Study, options: SearchOptions | None = None, *, live: LiveTable | None = None
) -> Study:
    """Go on with a study: finished trials stay, unfinished ones go on from their checkpoint.

    Args:
        study: That was interrupted, or that shall get more trials.
        options: Of this start; by default those the study was started with.
        live: Shows the search while it runs.

    Returns:
        The same study.

    Raises:
        StudyError: If the data are not those of the study, or another process runs it.
    """
    options = options or SearchOptions.from_dict(dict(study.settings.options))
    live = live or LiveTable.silent()
    with study.claimed():
        live.message(f"loading the data of {study.name}")
        data = load_study_data(study.space, live.message)
        problems = changes(study.settings.data, data)
        if data.episodes != study.settings.episodes:
            problems.append(f"episodes were {study.settings.episodes}, are {data.episodes}")
        if problems:
            raise StudyError(
                f"the data are not those of study {study.name}: {'; '.join(problems)}. Scores on "
                "other data cannot be compared: start a new search"
            )
        study.drop_unasked()
        _run(study, study.space, options, data, live)
    return study


def _make(folder: StudyFolder) -> None:
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"the study cannot be written to {folder.path}: {error}") from error
    problem = disk_problem(folder)
    if problem:
        raise StudyError(f"{problem}: free some, or choose another folder with --runs")


def _run(
    study: Study, space: Space, options: SearchOptions, data: StudyData, live: LiveTable
) -> None:
    """One start of a search, to its end or to the first reason to stop."""
    stop = StopRequest(study.folder, options.time_budget_s)
    with ExitStack() as stack:
        stack.enter_context(stop.on_signals())
        live.message("starting Ray")
        session = stack.enter_context(open_session(options.address))
        plan = plan_slots(
            session.nodes(),
            options.cpus_per_trial,
            options.gpus_per_trial,
            options.concurrency,
        )
        live.message(plan.reason)
        trackers: list[Tracker] = [live]
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
        stack.callback(_close, trackers)
        live.open(study.records(), options.trials, study.settings.baselines, study=study.name)
        _tune(study, space, options, plan, data, trackers, stop)
    study.leaderboard().to_csv(study.folder.leaderboard)
    if stop.reason is None:
        export_best(study, study.folder.best)
    else:
        live.message(
            f"stopped: {stop.reason}. Nothing is lost; go on with: tripletune resume {study.name}"
        )


def _tune(
    study: Study,
    space: Space,
    options: SearchOptions,
    plan: SlotPlan,
    data: StudyData,
    trackers: Sequence[Tracker],
    should_stop: Callable[[], bool],
) -> None:
    """Let Ray Tune run what the study hands out."""
    # ray.tune takes seconds to import; commands that only read a study do without.
    import ray
    from ray import tune

    from .ray_trial import NUMBER, RayTrial
    from .schedulers import build_scheduler
    from .searcher import SearchStopped, StudyRecorder, StudySearcher

    budget = space.build(lambda _, distribution: distribution.corners[0]).budget
    trainable = tune.with_parameters(
        RayTrial, datasets={key: ray.put(value) for key, value in data.datasets.items()}
    )
    resources = {"cpu": plan.resources.cpus, "gpu": plan.resources.gpus}
    start = len(list(study.folder.tune.glob("start-*")))
    with _quiet_tune():
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=StudySearcher(
                    study,
                    space,
                    num_trials=options.trials,
                    threads=max(1, int(plan.resources.cpus)),
                ),
                scheduler=build_scheduler(
                    options.scheduler,
                    max_steps=budget.steps,
                    report_every=budget.report_every,
                    past=study.records(),
                ),
                max_concurrent_trials=plan.concurrency,
                # A new actor costs seconds (torch's import), a reused one hundredths.
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial_folder_name(trial.config[NUMBER]),
            ),
            run_config=tune.RunConfig(
                name=f"start-{start:03d}",
                storage_path=str(study.folder.tune),
                callbacks=[StudyRecorder(study, trackers, should_stop)],
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=1, checkpoint_at_end=True, num_to_keep=2
                ),
                failure_config=tune.FailureConfig(max_failures=MAX_LOST_PROCESSES - 1),
                verbose=0,
            ),
        )
        with suppress(SearchStopped):
            tuner.fit()


@contextmanager
def _quiet_tune() -> Iterator[None]:
    """Tune without its own files and words: the study and the live table have them."""
    settings = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        # Our own handlers stop the search between two events.
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        # A failed trial's result has a reason instead of a metric.
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    before = {name: os.environ.get(name) for name in settings}
    level = logging.getLogger("ray.tune").level
    os.environ.update(settings)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger("ray.tune").setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _close(trackers: Sequence[Tracker]) -> None:
    # The live table last: W&B may have a warning to show.
    for tracker in reversed(trackers):
        tracker.close(TRACKER_CLOSE_S)
