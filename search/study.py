"""A study: every trial of a search, kept by Optuna in the study's storage.

The storage is the truth. What Ray Tune, W&B and the leaderboard show is made from it and can be
made again; a search that was killed goes on from what it holds.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import optuna
from numpy.typing import ArrayLike, NDArray
from optuna.trial import FrozenTrial, TrialState

from ..cluster.storage import Storage
from ..spaces import Space, Value
from ..trainables.report import Report
from . import notebook, plots
from . import trial_attributes as kept
from .confirmed_finalists import confirmed_finalists
from .episode_scores import EpisodeScores
from .folder import StudyError, StudyFolder, read_yaml, write_yaml
from .leaderboard import METRIC, Leaderboard
from .records import Attempt, CheckpointRecord, TrialRecord
from .rungs import rung_steps
from .samplers import RecipeSampler, SpaceExhausted
from .storage import StudyStorage, open_storage
from .study_settings import SETTINGS, require_free
from .study_settings import StudySettings as StudySettings
from .study_settings import versions as versions
from .suggesting import suggest
from .suggestions import middle, quiet_optuna, sampler_of
from .under_dim import under_dim

SLOTS = "slots"

NOTE_CHARACTERS = 2045
"""Longest piece of a note."""


class Study:
    """The trials of one search; reads and writes its storage, starts nothing.

    One process writes: the one that holds the study's claim. It keeps the running trials in
    memory, and so reads nothing back.
    """

    def __init__(
        self,
        folder: StudyFolder,
        settings: StudySettings,
        study: optuna.Study,
        storage: StudyStorage,
    ) -> None:
        """Use `Study.create` or `Study.open`."""
        self.folder = folder
        self.settings = settings
        self._study = study
        self._storage = storage
        self._ids: dict[int, int] = {}
        self._has_looked_for_half_asked = False
        self._live: dict[int, TrialRecord] = {}
        self._over: dict[int, TrialRecord] = {}

    @classmethod
    def create(cls, folder: StudyFolder, settings: StudySettings) -> "Study":
        """Make a study in a folder of its own.

        Raises:
            StudyError: If there already is one, here or in the database, or the folder or the
                database cannot be written.
        """
        folder.require_new()
        folder.make()
        space = Space.from_text(settings.space, origin=folder.name)
        try:
            storage = open_storage(settings.database, folder.journal)
            with quiet_optuna():
                study = optuna.create_study(
                    storage=storage.optuna,
                    sampler=sampler_of(settings.options, space),
                    study_name=folder.name,
                    direction="maximize",
                    # A start that was cut off before the settings were written left an empty one.
                    load_if_exists=True,
                )
                require_free(folder, settings, study)
                study.set_metric_names([METRIC])
            if not study.trials:
                for point in (*space.points, middle(space)):
                    study.enqueue_trial(dict(point), skip_if_exists=True)
            study.set_user_attr(SETTINGS, asdict(settings))
            storage.flush()
            # Written last: a folder without it is not a study yet.
            write_yaml(folder.settings, asdict(settings))
        except OSError as error:
            raise StudyError(f"the study cannot be written to {folder.path}: {error}") from error
        return cls(folder, settings, study, storage)

    @classmethod
    def open(cls, folder: StudyFolder) -> "Study":
        """Open a study that exists.

        Raises:
            StudyError: If its files or its database cannot be read.
        """
        try:
            settings = StudySettings(**read_yaml(folder.settings))
            kept_in = settings.options.get("kept_in")
            if kept_in is not None and folder.storage is None:
                folder = replace(folder, storage=Storage.parse(kept_in).child(folder.name))
            storage = open_storage(settings.database, folder.journal)
            study = optuna.load_study(study_name=folder.name, storage=storage.optuna)
            space = Space.from_text(settings.space, origin=str(folder.settings))
            study.sampler = sampler_of(settings.options, space)
        except StudyError:
            raise
        except Exception as error:  # whatever YAML, Optuna or the file system say
            raise StudyError(f"the study in {folder.path} cannot be read: {error}") from error
        return cls(folder, settings, study, storage)

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
        return tuple(self._record(trial) for trial in trials if kept.RECIPE in trial.user_attrs)

    def record(self, number: int) -> TrialRecord:
        """One trial.

        Raises:
            StudyError: If the study has no trial of that number.
        """
        known = self._live.get(number) or self._over.get(number)
        if known is not None:
            return known
        trials = self._study.get_trials(deepcopy=False)
        if not 0 <= number < len(trials) or kept.RECIPE not in trials[number].user_attrs:
            raise StudyError(
                f"study {self.name} has no trial {number}: it has {len(self.records())}, numbered "
                "from 0"
            )
        return self._record(trials[number])

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
        records, beside = self.records(), EpisodeScores(self.folder.episodes)
        if max_dim is not None:
            records = under_dim(records, max_dim)
        scores = {
            record.number: beside.read(record.number, record.last_report.step)
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

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the study for this process alone, in its folder and in its database.

        Raises:
            StudyError: If another process runs it; with that one's host and process number.
        """
        with self.folder.claimed(), self.storage_claimed():
            yield

    @contextmanager
    def storage_claimed(self) -> Iterator[None]:
        """The same where the folder is held already."""
        self._forget()
        with self._storage.claimed(self.name):
            try:
                yield
            finally:
                self._storage.flush()
                self._forget()

    def ask(self, space: Space, given: Mapping[str, Value] | None = None) -> TrialRecord:
        """A new trial: Optuna's next suggestion as a recipe that the study does not have yet.

        What is suggested depends on the seed, the trial's number and the trials before it, not on
        the process that asks: a trial that was cut off before it had its recipe is asked for
        again.

        Args:
            space: What may be tried.
            given: Parameters that are decided already, by name.

        Raises:
            SpaceExhausted: If the study has every recipe of the space.
        """
        self._storage.flush()
        sampler = self._study.sampler
        assert isinstance(sampler, RecipeSampler), "create and open build it"
        sampler.given = given or {}
        with quiet_optuna():
            trial = self._half_asked() or self._study.ask()
            try:
                recipe = space.build(lambda name, distribution: suggest(trial, name, distribution))
            except SpaceExhausted:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
        trial.set_user_attr(kept.RECIPE, recipe.to_dict())
        self._storage.flush()
        self._ids[trial.number] = trial._trial_id
        record = TrialRecord(trial.number, "running", recipe, (), 0, None)
        self._live[trial.number] = record
        return record

    def start(self, number: int, *, cpus: float = 1.0, gpus: float = 0.0) -> TrialRecord:
        """Count one more start of a trial, with the share of the machines that it holds."""
        record = self._running(number)
        began = time.time()
        attempts = record.attempts + 1
        span = {"began": began, "gpus": gpus, "cpus": cpus}
        self._keep(number, {kept.ATTEMPTS: attempts, kept.attempt_key(attempts): span})
        attempt = Attempt(began, began, gpus, cpus)
        self._live[number] = replace(record, attempts=attempts, log=(*record.log, attempt))
        return self._live[number]

    def report(self, number: int, report: Report, *, is_last: bool = False) -> bool:
        """Keep a report of a running trial.

        Args:
            number: Of the trial.
            report: What it reported.
            is_last: Whether the trial ends with it: its budget is used up, or it was stopped.

        Returns:
            Whether it was new; the first report of a step stands.
        """
        record = self._running(number)
        if record.reports and report.step <= record.reports[-1].step:
            return False
        at = time.time()
        content = {**report.to_dict(), kept.AT: at}
        # In this order: what is cut off in between is written when the step is reported again.
        over = {kept.IS_OVER: True} if is_last else {}
        self._keep(
            number,
            {**over, kept.report_key(report.step): content},
            values={report.step: report.one_shot_accuracy},
        )
        log = record.log and (*record.log[:-1], replace(record.log[-1], last=at))
        self._live[number] = replace(
            record,
            reports=(*record.reports, report),
            log=log,
        )
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

    def note(
        self,
        number: int,
        *,
        checkpoint: CheckpointRecord | None = None,
        wandb_id: str | None = None,
        lost: Literal["process", "node"] | None = None,
    ) -> TrialRecord:
        """Keep what became known of a running trial."""
        record = self._running(number)
        if checkpoint is not None:
            self._keep(number, {kept.CHECKPOINT: asdict(checkpoint)})
            record = replace(record, checkpoint=checkpoint)
        if wandb_id is not None and wandb_id != record.wandb_id:
            self._keep(number, {kept.WANDB_ID: wandb_id})
            record = replace(record, wandb_id=wandb_id)
        if lost is not None:
            record = replace(record, losses=(*record.losses, lost))
            self._keep(number, {kept.LOSSES: list(record.losses)})
        self._live[number] = record
        return record

    def finish(self, number: int) -> TrialRecord:
        """End a trial by what it reported: complete, pruned, or pruned and infeasible.

        A trial that trained its whole budget is complete; one that was stopped earlier is pruned
        and keeps its curve; a collapsed one breaks a constraint, so that the sampler reads it as
        infeasible, not as bad.
        """
        record = self.record(number)
        if record.state != "running":
            return record
        last = record.last_report
        if last is None:
            return self.fail(number, "it ended without a report")
        self._storage.flush()
        if last.is_collapsed:
            optuna.Trial(self._study, self._id(number)).set_constraint(kept.COLLAPSED, 1.0)
        if last.step >= record.recipe.budget.steps:
            self._study.tell(number, last.one_shot_accuracy, skip_if_finished=True)
            return self._ended(replace(record, state="complete"))
        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        return self._ended(replace(record, state="pruned"))

    def fail(self, number: int, reason: str, details: str = "") -> TrialRecord:
        """End a trial that cannot go on.

        Args:
            number: Of the trial.
            reason: One line, for the leaderboard.
            details: The traceback, where there is one.
        """
        record = self._running(number)
        now = time.time()
        details = details[-kept.MAX_TRACEBACK :]
        about = {kept.FAILURE: reason, kept.ENDED: now}
        self._keep(number, about | ({kept.TRACEBACK: details} if details else {}))
        self._storage.flush()
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        log = record.log and (*record.log[:-1], replace(record.log[-1], last=now))
        return self._ended(
            replace(record, state="failed", failure=reason, traceback=details or None, log=log)
        )

    def set_slots(self, slots: int) -> None:
        """Keep how many trials this start runs at a time, for who watches it."""
        self._study.set_user_attr(SLOTS, slots)

    def describe(self, number: int, attributes: Mapping[str, str]) -> None:
        """Name a running trial where Optuna's dashboard shows it."""
        self._keep(number, attributes)

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
        self._study.set_user_attr(SETTINGS, asdict(self.settings))

    def keep_baselines(self, scores: Mapping[str, Mapping[str, Any]]) -> None:
        """Add scores that were trained beside the trials, by name."""
        plain = {name: dict(score) for name, score in scores.items()}
        self.settings = replace(self.settings, baselines={**self.settings.baselines, **plain})
        write_yaml(self.folder.settings, asdict(self.settings))
        self._study.set_user_attr(SETTINGS, asdict(self.settings))

    def settle(self) -> None:
        """End what an earlier start left half told.

        A trial that was stopped early, but killed before that was told, must not go on: it had its
        verdict. One that failed has its reason.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if kept.RECIPE not in trial.user_attrs:
                continue  # asked for again
            record = self._running(trial.number)
            if record.failure is not None:
                self.fail(trial.number, record.failure, record.traceback or "")
                continue
            is_over = kept.IS_OVER in trial.user_attrs and record.last_report is not None
            # At the end of its budget the last checkpoint may be missing: then it is queued.
            if is_over and record.reports[-1].step < record.recipe.budget.steps:
                self.finish(trial.number)

    def flush(self) -> None:
        """Return when everything written so far is on the disk."""
        self._storage.flush()

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        """Of a trial that has a recipe; one that is over is read once."""
        number = trial.number
        known = self._live.get(number) or self._over.get(number)
        if known is None:
            known = kept.record_of(trial)
            if known.state != "running":
                self._over[number] = known
        return known

    def _running(self, number: int) -> TrialRecord:
        """A trial that this process writes."""
        if number not in self._live:
            self._live[number] = self.record(number)
        return self._live[number]

    def _ended(self, record: TrialRecord) -> TrialRecord:
        self._storage.flush()
        self._live.pop(record.number, None)
        self._ids.pop(record.number, None)
        self._over[record.number] = record
        return record

    def _forget(self) -> None:
        """What another process may have changed is read again."""
        self._live.clear()
        self._ids.clear()
        self._has_looked_for_half_asked = False

    def _keep(
        self,
        number: int,
        attributes: Mapping[str, Any],
        values: Mapping[int, float] | None = None,
    ) -> None:
        self._storage.keep(self._id(number), values or {}, attributes)

    def _id(self, number: int) -> int:
        """Optuna's id of a running trial, which is another than its number in a database."""
        if number not in self._ids:
            self._ids[number] = self._study.get_trials(deepcopy=False)[number]._trial_id
        return self._ids[number]

    def _half_asked(self) -> optuna.Trial | None:
        """A trial that was cut off between Optuna's first suggestion and its recipe."""
        if self._has_looked_for_half_asked:
            return None
        self._has_looked_for_half_asked = True
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if kept.RECIPE not in trial.user_attrs:
                return optuna.Trial(self._study, trial._trial_id)
        return None
