"""A search over toy trials on a Ray that runs already: the driver that tests kill.

Its processes are forked from one that has imported everything: a life then costs the connection to
Ray and the start of an actor.
"""

import logging
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import ray
import toy_trial
from command_line import LONG_S
from toy_space import SPACE

from tripletune.cluster import Packing, SlotPlan, TrialResources
from tripletune.cluster.authentication import ray_environment
from tripletune.search import ray_trial
from tripletune.search.folder import StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.records import TrialRecord
from tripletune.search.stop_request import StopRequest
from tripletune.search.study import Study
from tripletune.search.study_settings import StudySettings
from tripletune.search.trackers import Tracker
from tripletune.search.tuning import tune_study
from tripletune.trainables.report import Report

CPUS = 0.5
"""Of a trial, so that several drivers share two."""


class Printer:
    """Says what happens, for whoever waits for the moment to kill."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def trial_started(self, record: TrialRecord) -> None:
        self._say(f"started {record.number} {record.attempts}")

    def trial_reported(self, number: int, attempt: int, report: Report) -> None:
        self._say(f"report {number} {report.step}")

    def trial_ended(self, record: TrialRecord) -> None:
        self._say(f"ended {record.number} {record.state}")

    def study_ended(self, study: Study) -> None:
        pass

    def close(self, timeout_s: float) -> None:
        pass


def search(
    folder: StudyFolder,
    options: SearchOptions,
    *,
    trial: type[ray_trial.RayTrial] = toy_trial.ToyRayTrial,
    trackers: Sequence[Tracker] = (),
    stop: StopRequest | None = None,
) -> Study:
    """Run a search over toy trials in this process, which is connected to Ray."""
    stop = stop or StopRequest(folder, options.time_budget_s)
    options = replace(options, baselines=False)  # there are no data
    with ExitStack() as stack:
        if folder.settings.exists():
            study = Study.open(folder)
            stack.enter_context(study.claimed())
            study.settle()
        else:
            folder.make()
            stack.enter_context(folder.claimed())
            settings = StudySettings(
                SPACE, options.to_dict(), {}, "e", {}, {}, database=options.database
            )
            study = Study.create(folder, settings)
            stack.enter_context(study.storage_claimed())
        plan = SlotPlan(TrialResources(CPUS, 0.0), options.concurrency or 1, "")
        real, ray_trial.RayTrial = ray_trial.RayTrial, trial  # type: ignore[misc]
        try:
            tune_study(
                study,
                study.space,
                options,
                plan,
                Packing(None),
                {},
                trackers,
                stop,
                session_lives_on=True,
                nodes=lambda: ({"CPU": 2.0},),
                say=lambda line: None,
            )
        finally:
            ray_trial.RayTrial = real  # type: ignore[misc]
    return study


@dataclass(frozen=True)
class Life:
    """What a driver is told.

    Attributes:
        folder: Of the study, which it goes on with if there is one.
        options: Of the search.
        ray_address: Of the Ray that runs already.
        environment: That it needs besides its own.
    """

    folder: Path
    options: SearchOptions
    ray_address: str
    environment: Mapping[str, str]


def live(life: Life, pipe: "Connection[str, None]") -> None:
    """Run the search in this process, and send what happens."""
    with ray_environment(life.environment):
        ray.cloudpickle.register_pickle_by_value(toy_trial)
        ray.init(address=life.ray_address, log_to_driver=False, logging_level=logging.WARNING)
        folder = StudyFolder(life.folder)
        stop = StopRequest(folder, None)
        with stop.on_signals():
            search(folder, life.options, trackers=[Printer(pipe.send)], stop=stop)
        pipe.send(f"over {stop.reason}")
        ray.shutdown()


class Driver:
    """One life of a driver, in a process of its own."""

    def __init__(self, life: Life) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["toy_driver"])
        self._pipe, other = context.Pipe(duplex=False)
        self.process = context.Process(target=live, args=(life, other))
        self.process.start()
        other.close()
        self.lines: list[str] = []

    def wait_for(self, is_it: Callable[[str], bool]) -> bool:
        """Whether a line that fits came before the end."""
        while True:
            assert self._pipe.poll(LONG_S), self.lines
            try:
                self.lines.append(self._pipe.recv())
            except EOFError:
                return False
            if is_it(self.lines[-1]):
                return True

    def kill(self) -> None:
        """End it with no chance to tidy up."""
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def finish(self) -> int | None:
        """Wait for its end; the exit status."""
        self.wait_for(lambda line: False)
        self.process.join()
        self._pipe.close()
        return self.process.exitcode
