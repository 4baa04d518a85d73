"""A study: every trial of a search, kept by Optuna in the study's folder.

The journal is the truth. What Ray Tune, W&B and the leaderboard show is made from it and can be
made again; a search that was killed goes on from what it holds.
"""

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import optuna
from numpy.typing import ArrayLike, NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from .. import __version__
from ..cluster.storage import Storage
from ..spaces import Distribution, Recipe, Space, Value
from ..trainables.report import Report
from . import notebook, plots
from .confirmed_finalists import confirmed_finalists
from .episode_scores import EpisodeScores
from .folder import StudyError, StudyFolder, read_yaml, write_yaml
from .leaderboard import METRIC, Leaderboard
from .records import TrialRecord
from .records import TrialState as RecordState
from .rungs import rung_steps
from .samplers import RecipeSampler, SpaceExhausted, build_sampler
from .suggesting import suggest
from .under_dim import under_dim

REPORT = "report"
FAILURE = "failure"
RECIPE = "recipe"
ATTEMPTS = "attempts"
COLLAPSED = "collapsed"
IS_OVER = "is_over"
SLOTS = "slots"

NOTE_CHARACTERS = 2045
"""Longest piece of a note."""

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
        folder.require_new()
        folder.make()
        try:
            with _quiet_optuna():
                study = optuna.create_study(
                    storage=_storage(folder),
                    sampler=_sampler(settings, folder.name),
                    study_name=folder.name,
                    direction="maximize",
                    # A start that was cut off before the settings were written left an empty one.
                    load_if_exists=True,
                )
                study.set_metric_names([METRIC])
            if not study.trials:
                space = Space.from_text(settings.space, origin=folder.name)
                for point in (*space.points, _middle(space)):
                    study.enqueue_trial(dict(point), skip_if_exists=True)
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
            kept_in = settings.options.get("kept_in")
            if kept_in is not None and folder.storage is None:
                folder = replace(folder, storage=Storage.parse(kept_in).child(folder.name))
            study = optuna.load_study(
                study_name=folder.name,
                storage=_storage(folder),
            )
            study.sampler = _sampler(settings, str(folder.settings))
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
            raise StudyError(
                f"study {self.name} has no trial {number}: it has {len(self.records())}, numbered "
                "from 0"
            )
        return _record(trials[number])

    def episode_scores(self, number: int, step: int | None = None) -> NDArray[np.float32] | None:
        """Accuracy of each frozen episode at a report; see `EpisodeScores`.

        Args:
            number: Of the trial.
            step: Of the report; by default the last one.

        Returns:
            Shape (E,); None where they were not kept: before the first report, at a step that is
            neither a rung nor the newest, or in a study older than these files.
        """
        if step is None:
            last = self.record(number).last_report
            if last is None:
                return None
            step = last.step
        return EpisodeScores(self.folder.episodes).read(number, step)

    def optuna_trials(self) -> tuple[FrozenTrial, ...]:
        """The trials as Optuna holds them, by number: what was drawn, from what, and when."""
        return tuple(self._study.get_trials(deepcopy=False))

    @property
    def slots(self) -> int | None:
        """Trials at a time of the newest start; None in a study of an older version."""
        slots = self._study.user_attrs.get(SLOTS)
        return None if slots is None else int(slots)

    def leaderboard(self, max_dim: int | None = None) -> Leaderboard:
        """The trials, ranked by what can be told apart on the frozen episodes.

        Args:
            max_dim: Ranks them as models of at most so many dimensions, see `under_dim`.
        """
        records, kept = self.records(), EpisodeScores(self.folder.episodes)
        if max_dim is not None:
            records = under_dim(records, max_dim)
        scores = {
            record.number: kept.read(record.number, record.last_report.step)
            for record in records
            if record.last_report and record.size is None
        }
        return Leaderboard.from_records(
            self.name,
            records,
            baselines=self.settings.baselines,
            scores={number: values for number, values in scores.items() if values is not None},
            confirmed=confirmed_finalists(self.folder.confirm),
        )

    _repr_html_ = notebook.study_html

    plot_contour = plots.plot_contour
    plot_cost = plots.plot_cost
    plot_curves = plots.plot_curves
    plot_history = plots.plot_history
    plot_importance = plots.plot_importance
    plot_parallel = plots.plot_parallel
    plot_slice = plots.plot_slice
    plot_timeline = plots.plot_timeline

    # ---- writing -------------------------------------------------------------------------------

    def ask(self, space: Space, given: Mapping[str, Value] | None = None) -> TrialRecord:
        """A new trial: Optuna's next suggestion as a recipe that the study does not have yet.

        Args:
            space: What may be tried.
            given: Parameters that are decided already, by name.

        Raises:
            SpaceExhausted: If the study has every recipe of the space.
        """
        sampler = self._study.sampler
        assert isinstance(sampler, RecipeSampler), "create and open build it"
        sampler.given = given or {}
        with _quiet_optuna():
            trial = self._study.ask()
            try:
                recipe = space.build(lambda name, distribution: suggest(trial, name, distribution))
            except SpaceExhausted:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
        trial.set_user_attr(RECIPE, recipe.to_dict())
        self._running[trial.number] = trial
        return TrialRecord(trial.number, "running", recipe, (), 0, None)

    def start(self, number: int) -> None:
        """Count one more start of a trial."""
        trial = self._trial(number)
        trial.set_user_attr(ATTEMPTS, trial.user_attrs.get(ATTEMPTS, 0) + 1)

    def report(self, number: int, report: Report, *, is_last: bool = False) -> bool:
        """Keep a report of a running trial.

        Args:
            number: Of the trial.
            report: What it reported.
            is_last: Whether the trial ends with it: its budget is used up, or it was stopped.

        Returns:
            Whether it was new; the first report of a step stands.
        """
        trial = self._trial(number)
        key = f"{REPORT}:{report.step:08d}"
        if key in trial.user_attrs:
            return False
        # In this order: what is cut off in between is written when the step is reported again.
        trial.report(report.one_shot_accuracy, report.step)
        if is_last:
            trial.set_user_attr(IS_OVER, True)
        trial.set_user_attr(key, report.to_dict())
        return True

    def keep_episode_scores(
        self, number: int, step: int, scores: ArrayLike, reserve: ArrayLike | None = None
    ) -> None:
        """Keep the accuracy of each frozen episode at a report, at a rung of the reserve too."""
        budget = self.record(number).recipe.budget
        rungs = rung_steps(budget.steps, budget.report_every)
        EpisodeScores(self.folder.episodes).keep(number, step, scores, rungs=rungs)
        if reserve is not None:
            EpisodeScores(self.folder.reserve).keep(number, step, reserve, rungs=rungs)

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

    def set_slots(self, slots: int) -> None:
        """Keep how many trials this start runs at a time, for who watches it."""
        self._study.set_user_attr(SLOTS, slots)

    def describe(self, number: int, attributes: Mapping[str, str]) -> None:
        """Name a running trial where Optuna's dashboard shows it."""
        trial = self._trial(number)
        for name, value in attributes.items():
            if trial.user_attrs.get(name) != value:
                trial.set_user_attr(name, value)

    def write_note(self, text: str, number: int | None = None) -> None:
        """Write a note in Markdown as optuna-dashboard (0.21) keeps it, over an earlier one.

        Args:
            text: The note.
            number: Of its trial; None for the study's own.
        """
        storage, study_id = self._study._storage, self._study._study_id
        prefix = "dashboard"
        if number is not None:
            prefix += f":{self._study.get_trials(deepcopy=False)[number]._trial_id}"
        known = storage.get_study_system_attrs(study_id)
        pieces = [
            text[start : start + NOTE_CHARACTERS] for start in range(0, len(text), NOTE_CHARACTERS)
        ]
        for place, piece in enumerate(pieces):
            storage.set_study_system_attr(study_id, f"{prefix}:note_str:{place}", piece)
        place = len(pieces)
        while f"{prefix}:note_str:{place}" in known:  # of a longer note before
            storage.set_study_system_attr(study_id, f"{prefix}:note_str:{place}", "")
            place += 1
        version = known.get(f"{prefix}:note_ver", 0) + 1
        storage.set_study_system_attr(study_id, f"{prefix}:note_ver", version)

    def change_options(self, options: Mapping[str, Any]) -> None:
        """Keep the options of the newest start, with which a `resume` without any goes on."""
        self.settings = replace(self.settings, options=dict(options))
        write_yaml(self.folder.settings, asdict(self.settings))

    def keep_baselines(self, scores: Mapping[str, Mapping[str, Any]]) -> None:
        """Add scores that were trained beside the trials, by name."""
        plain = {name: dict(score) for name, score in scores.items()}
        self.settings = replace(self.settings, baselines={**self.settings.baselines, **plain})
        write_yaml(self.folder.settings, asdict(self.settings))

    def settle(self) -> None:
        """End what an earlier start left half told.

        A trial cut off between Optuna's suggestion and the recipe never was one. A trial that was
        stopped early, but killed before that was told, must not go on: it had its verdict.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if RECIPE not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)
            elif IS_OVER in trial.user_attrs:
                record = _record(trial)
                # At the end of its budget the last checkpoint may be missing: then it is queued.
                if record.reports and record.reports[-1].step < record.recipe.budget.steps:
                    self.finish(trial.number)

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


def _sampler(settings: StudySettings, origin: str) -> optuna.samplers.BaseSampler:
    """What the options name, over the study's space; studies of an older version had `tpe`."""
    options = settings.options
    space = Space.from_text(settings.space, origin=origin)
    with _quiet_optuna():
        return build_sampler(
            options.get("sampler", "tpe"),
            space,
            int(options["seed"]),
            options.get("objectives", ("accuracy",)),
        )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Use Optuna without its log line, and what it calls experimental without a warning."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _middle(space: Space) -> dict[str, Value]:
    """The first trial of a study: the middle of every range, the first of every choice.

    Whoever writes a space puts the likeliest values there, so that the others meet a good rival.
    """
    values: dict[str, Value] = {}

    def choose(name: str, distribution: Distribution) -> Value:
        values[name] = distribution.middle
        return distribution.middle

    space.build(choose)
    return values


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
