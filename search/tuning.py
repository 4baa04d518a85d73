"""One run of Ray Tune: the study's trials on the machines that there are."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..cluster import Packing, SlotPlan, TrialResources
from ..spaces import Space
from .decisions import note_decision
from .episode_scores import rung_scores
from .families import Families
from .folder import StudyError, trial_folder_name
from .options import SearchOptions
from .stop_request import StopRequest
from .study import Study
from .trackers import Tracker

if TYPE_CHECKING:
    import ray

    from ..trainables import TrialData
    from .room import Nodes
    from .shipping import Mapped

MAX_LOST_PROCESSES = 3
"""How often the process of a trial may die before the trial has failed."""


def tune_study(
    study: Study,
    space: Space,
    options: SearchOptions,
    plan: SlotPlan,
    packing: Packing,
    datasets: "Mapping[str, Mapped | ray.ObjectRef[TrialData]]",
    trackers: Sequence[Tracker],
    stop: StopRequest,
    *,
    session_lives_on: bool,
    nodes: "Nodes",
    say: Callable[[str], None],
) -> None:
    """Let Ray Tune run what the study hands out, to the last trial or to a reason to stop.

    Args:
        study: That this process has claimed.
        space: What may be tried.
        options: Of this start.
        plan: CPUs of a trial, and how many trials at a time.
        packing: What share of a GPU a trial reserves.
        datasets: As `ship` made them, by the key of their section of the space.
        trackers: Told what happens.
        stop: Asked whether to end.
        session_lives_on: Whether Ray runs on after the search.
        nodes: Resources of the machines that there are now.
        say: Shows a line.

    Raises:
        StudyError: If Ray fails.
    """
    # ray.tune takes seconds to import; commands that only read a study do without.
    import ray
    from ray import tune

    from .baselines import baselines_beside
    from .checkpoints import CheckpointBudget
    from .ending import SearchEnd, SearchStopped
    from .ray_trial import GPUS, NUMBER, RETRY, RayTrial
    from .recorder import Parts, StudyRecorder
    from .room import Room, WaitingNotice
    from .schedulers import build_scheduler
    from .searcher import StudySearcher
    from .watchdog import Watchdog

    first = space.build(lambda _, distribution: distribution.middle)
    is_open_ended = options.address is not None and options.concurrency is None
    trainable = tune.with_parameters(
        RayTrial,
        datasets=datasets,
    )

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        share = TrialResources(plan.resources.cpus, config[GPUS])
        return tune.PlacementGroupFactory([share.bundle])

    searcher = StudySearcher(
        study,
        space,
        num_trials=options.trials,
        threads=max(1, int(plan.resources.cpus)),
        packing=packing,
        stop=stop,
        room=Room(nodes, plan, is_fixed=not is_open_ended),
        families=Families.of(space, options.stratify) if options.stratify else None,
    )
    watchdog = Watchdog(
        report_deadline_s=options.report_deadline_s,
        trial_time_limit_s=options.trial_time_limit_s,
        record_of=study.record,
    )
    end = SearchEnd(stop, session_lives_on=session_lives_on)
    recorder = StudyRecorder(
        Parts(
            study,
            trackers,
            packing,
            watchdog,
            CheckpointBudget(study.folder, options.keep_checkpoints, study.records()),
            stop,
            searcher.try_again,
            max_lost_processes=MAX_LOST_PROCESSES,
            cpus=plan.resources.cpus,
        ),
        end,
    )
    start = study.folder.num_starts()
    beside = (
        baselines_beside(study, first, datasets[first.data.key], plan.resources, stop, say)
        if options.baselines
        else nullcontext()
    )
    with _quiet_tune():
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=searcher,
                scheduler=build_scheduler(
                    options.scheduler,
                    max_steps=first.budget.steps,
                    report_every=first.budget.report_every,
                    past=study.records(),
                    read_scores=partial(rung_scores, study.folder),
                    explain=partial(note_decision, study.folder.decisions),
                ),
                max_concurrent_trials=options.trials if is_open_ended else plan.concurrency,
                # A new actor costs seconds (torch's import), a reused one hundredths.
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial_folder_name(
                    trial.config[NUMBER], trial.config[RETRY]
                ),
            ),
            run_config=tune.RunConfig(
                name=f"start-{start:03d}",
                storage_path=study.folder.tune_address,
                callbacks=[recorder, end, watchdog, WaitingNotice(say, nodes, plan)],
                stop=end,
                # The trial says when one is due between the first and the last.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True, num_to_keep=2),
                # Trials that lost their process are handed out again by the searcher.
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
            ),
        )
        try:
            with beside, suppress(SearchStopped):
                tuner.fit()
        except (OSError, ray.exceptions.RayError, tune.TuneError) as error:
            raise StudyError(
                f"the search failed: {error}. What was finished is kept; go on with: "
                f"{study.folder.command('resume')}"
            ) from error


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
    from ray.tune.execution import class_cache

    # Tune would copy the keys of a bucket from here to the trials by a way that ends in Ray's
    # logs; the nodes have their own.
    copied = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE -= copied
    before = {name: os.environ.get(name) for name in settings}
    level = logging.getLogger("ray.tune").level
    os.environ.update(settings)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE |= copied
        logging.getLogger("ray.tune").setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
