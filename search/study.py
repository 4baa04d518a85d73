"""A study: every trial of a search, kept by Optuna in the study's folder.

The journal is the truth. What Ray Tune, W&B and the leaderboard show is made from it and can be
made again; a search that was killed goes on from what it holds.
"""

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, cast

import filelock
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from .. import __version__
from ..spaces import Choice, Distribution, Int, LogUniform, Recipe, Space, Uniform, Value
from ..trainables.report import Report
from .folder import StudyError, StudyFolder, read_yaml, write_yaml
from .leaderboard import METRIC, Leaderboard
from .records import TrialRecord
from .records import TrialState as RecordState

STARTUP_TRIALS = 8

REPORT = "report"
FAILURE = "failure"
RECIPE = "recipe"
ATTEMPTS = "attempts"
COLLAPSED = "collapsed"

STATES: Mapping[TrialState, RecordState] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class StudySettings:
    """What a study was started with; `study.yaml` holds it.

    Attributes:
        space: Text of the space file, command-line overrides written in.
        options: Of the search: trials, seed, scheduler, slots.
        data: One entry a data section of the space: fingerprint, split, preprocessing, notes.
        episodes: Hash of the frozen episodes.
        baselines: Scores on the same episodes that need no training, by name.
        versions: Of Python and the packages that the numbers depend on.
    """

    space: str
    options: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    episodes: str
    baselines: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]


class Study:
    """The trials of one search; reads and writes its storage, starts nothing."""

    def __init__(self, folder: StudyFolder, settings: StudySettings, study: optuna.Study) -> None:
        """Use `Study.create` or `Study.open`."""
        self.folder = folder
        self.settings = settings
        self._study = study
        self._running: dict[int, optuna.Trial] = {}

    @classmethod
    def create(cls, folder: StudyFolder, settings: StudySettings) -> "Study":
        """Make a study in a folder of its own.

        Raises:
            StudyError: If there already is one, or the folder cannot be written.
        """
        if folder.settings.exists():
            raise StudyError(
                f"study {folder.name} exists in {folder.path}: continue it with "
                f"`tripletune resume {folder.name}`, or choose another --name"
            )
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            study = optuna.create_study(
                storage=_storage(folder),
                sampler=_sampler(int(settings.options["seed"])),
                study_name=folder.name,
                direction="maximize",
            )
            with _experimental():
                study.set_metric_names([METRIC])
            # Written last: a folder without it is not a study yet.
            write_yaml(folder.settings, asdict(settings))
        except OSError as error:
            raise StudyError(f"the study cannot be written to {folder.path}: {error}") from error
        return cls(folder, settings, study)

    @classmethod
    def open(cls, folder: StudyFolder) -> "Study":
        """Open a study that exists.

        Raises:
            StudyError: If its files cannot be read.
        """
        try:
            settings = StudySettings(**read_yaml(folder.settings))
            study = optuna.load_study(
                study_name=folder.name,
                storage=_storage(folder),
                sampler=_sampler(int(settings.options["seed"])),
            )
        except Exception as error:  # whatever YAML, Optuna or the file system say
            raise StudyError(f"the study in {folder.path} cannot be read: {error}") from error
        return cls(folder, settings, study)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.folder.name

    @property
    def space(self) -> Space:
        """The space it searches."""
        return Space.from_text(self.settings.space, origin=str(self.folder.settings))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the study for this process alone.

        Raises:
            StudyError: If another process runs it.
        """
        lock = filelock.FileLock(self.folder.lock)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StudyError(
                f"study {self.name} is being run by another process, which holds "
                f"{self.folder.lock}: stop that one first"
            ) from None
        try:
            yield
        finally:
            lock.release()

    # ---- reading -------------------------------------------------------------------------------

    def records(self) -> tuple[TrialRecord, ...]:
        """Every trial, by number."""
        trials = self._study.get_trials(deepcopy=False)
        return tuple(_record(trial) for trial in trials if RECIPE in trial.user_attrs)

    def record(self, number: int) -> TrialRecord:
        """One trial.

        Raises:
            StudyError: If the study has no trial of that number.
        """
        trials = self._study.get_trials(deepcopy=False)
        if not 0 <= number < len(trials) or RECIPE not in trials[number].user_attrs:
            raise StudyError(f"study {self.name} has no trial {number}")
        return _record(trials[number])

    def leaderboard(self) -> Leaderboard:
        """The trials, ranked."""
        return Leaderboard.from_records(
            self.name, self.records(), baselines=self.settings.baselines
        )

    # ---- writing -------------------------------------------------------------------------------

    def ask(self, space: Space) -> TrialRecord:
        """A new trial: Optuna's next suggestion as a recipe."""
        trial = self._study.ask()
        recipe = space.build(lambda name, distribution: _suggest(trial, name, distribution))
        trial.set_user_attr(RECIPE, recipe.to_dict())
        self._running[trial.number] = trial
        return TrialRecord(trial.number, "running", recipe, (), 0, None)

    def start(self, number: int) -> None:
        """Count one more start of a trial."""
        trial = self._trial(number)
        trial.set_user_attr(ATTEMPTS, trial.user_attrs.get(ATTEMPTS, 0) + 1)

    def report(self, number: int, report: Report) -> bool:
        """Keep a report of a running trial.

        Returns:
            Whether it was new; the first report of a step stands.
        """
        trial = self._trial(number)
        key = f"{REPORT}:{report.step:08d}"
        if key in trial.user_attrs:
            return False
        trial.set_user_attr(key, report.to_dict())
        trial.report(report.one_shot_accuracy, report.step)
        return True

    def finish(self, number: int) -> TrialRecord:
        """End a trial by what it reported: complete, pruned, or pruned and infeasible.

        A trial that trained its whole budget is complete; one that was stopped earlier is pruned
        and keeps its curve; a collapsed one breaks a constraint, so that the sampler reads it as
        infeasible, not as bad.
        """
        record = self.record(number)
        last = record.last_report
        if last is None:
            return self.fail(number, "it ended without a report")
        if last.is_collapsed:
            self._trial(number).set_constraint(COLLAPSED, 1.0)
        if last.step >= record.recipe.budget.steps:
            self._study.tell(number, last.one_shot_accuracy, skip_if_finished=True)
        else:
            self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        self._running.pop(number, None)
        return self.record(number)

    def fail(self, number: int, reason: str, details: str = "") -> TrialRecord:
        """End a trial that cannot go on.

        Args:
            number: Of the trial.
            reason: One line, for the leaderboard.
            details: The traceback, where there is one.
        """
        trial = self._trial(number)
        trial.set_user_attr(FAILURE, reason)
        if details:
            trial.set_user_attr("traceback", details)
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        self._running.pop(number, None)
        return self.record(number)

    def drop_unasked(self) -> None:
        """Fail trials that were cut off between Optuna's suggestion and the recipe."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if RECIPE not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _trial(self, number: int) -> optuna.Trial:
        """Optuna's handle of a running trial, also of one that an earlier process asked for."""
        if number not in self._running:
            frozen = self._study.get_trials(deepcopy=False)[number]
            self._running[number] = optuna.Trial(self._study, frozen._trial_id)
        return self._running[number]


def versions() -> dict[str, str]:
    """Versions that the numbers of a study depend on."""
    packages = ("torch", "torchvision", "ray", "optuna", "numpy")
    return {
        "tripletune": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _storage(folder: StudyFolder) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(folder.journal)))


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """TPE over each branch jointly; running trials count as bad, so that workers spread out."""
    with _experimental():
        return optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )


@contextmanager
def _experimental() -> Iterator[None]:
    """Use what Optuna calls experimental without a warning at each search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Value:
    """Optuna's value for a parameter of the space."""
    return cast(Value, trial._suggest(name, _to_optuna(distribution)))


def _to_optuna(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case Choice(values=values):
            return CategoricalDistribution(values)


def _record(trial: FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    keys = sorted(key for key in attributes if key.startswith(REPORT + ":"))
    return TrialRecord(
        number=trial.number,
        state=STATES[trial.state],
        recipe=Recipe.model_validate(attributes[RECIPE]),
        reports=tuple(Report(**attributes[key]) for key in keys),
        attempts=attributes.get(ATTEMPTS, 0),
        failure=attributes.get(FAILURE),
    )
