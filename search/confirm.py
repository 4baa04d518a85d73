"""Trains the finalists of a study again, from fresh seeds, and scores them on fresh episodes.

The best of many trials was chosen for its luck too: of its episodes and of its seed. Here neither
is the one it was chosen by. Validation classes only; the test side stays closed.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cluster import open_session, plan_slots
from ..spaces import Recipe
from ..trainables import TrialData, load_trial_data
from ..trainables.data import Progress, unseen
from .confirmation import ConfirmedRun, ConfirmFolder, confirmed
from .datasets import describe_data
from .finalists import Family, finalists
from .folder import StudyError
from .ledger import LEDGER_FILE, Ledger, new_entry
from .records import TrialRecord
from .stop_request import StopRequest
from .study import Study

if TYPE_CHECKING:
    import ray

MAX_LOST = 3
"""How often the process of a run may die before the run has failed."""

CHECKPOINTS = 4
"""Of a run, about."""


@dataclass(frozen=True)
class ConfirmOptions:
    """What is confirmed, and how.

    Attributes:
        top: Finalists from the top of the leaderboard.
        seeds: Fresh ones for each.
        per: Confirm the best of every loss, or of every miner, too.
        episodes: Fresh ones to score each run on.
        concurrency: Runs at a time; None fills what Ray sees.
        cpus_per_trial: Ray CPUs of a run.
        gpus_per_trial: Ray GPUs of a run.
        address: Of a running Ray cluster; None starts a private one.
    """

    top: int = 5
    seeds: int = 5
    per: Family | None = None
    episodes: int = 10_000
    concurrency: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can't run.

        Raises:
            ValueError: With the option, the rule and the value.
        """
        for name, least in (("top", 0), ("seeds", 1), ("episodes", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if self.top == 0 and self.per is None:
            raise ValueError("top must be >= 1 without --per, got 0")


class ConfirmInterrupted(Exception):  # noqa: N818  # asked for, so no error
    """A confirmation that had to end early; what is finished is kept.

    Attributes:
        exit_status: For a command line: 128 + the number of the signal, else 1.
    """

    def __init__(self, study: Study, reason: str, signal_number: int | None) -> None:
        super().__init__(
            f"stopped: {reason}. Finished runs are kept; go on with: "
            f"{study.folder.command('confirm')}"
        )
        self.exit_status = 1 if signal_number is None else 128 + signal_number


@dataclass(frozen=True)
class _Job:
    trial: int
    seed: int
    recipe: Recipe


def confirm(
    study: Study,
    options: ConfirmOptions | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = unseen,
) -> Study:
    """Confirm the finalists; what an earlier start finished stays.

    Args:
        study: Its search should be over.
        options: What is confirmed, and how.
        say: Told each finished run as a line.
        progress: Told how far the decoding is, where there is any.

    Returns:
        The study, whose leaderboard now shows the confirmed scores.

    Raises:
        StudyError: If no trial is complete, the data have changed, or another number of episodes
            was confirmed before.
        ConfirmInterrupted: At Ctrl-C, SIGTERM, or when the disk is nearly full.
        ValueError: If a run can never fit the machines.
    """
    options = options or ConfirmOptions()
    with study.folder.claimed():
        chosen = finalists(study.leaderboard(), options.top, options.per)
        if not chosen:
            raise StudyError(
                f"study {study.name} has no complete trial to confirm yet: go on with "
                f"`{study.folder.command('resume')}`"
            )
        folder = ConfirmFolder(study.folder.confirm)
        _require_same_episodes(folder, options.episodes)
        done = {(run.trial, run.seed) for run in folder.runs()}
        jobs = [
            job
            for record in chosen
            for job in _jobs(record, options)
            if (job.trial, job.seed) not in done
        ]
        total = len(chosen) * options.seeds
        who = "1 finalist" if len(chosen) == 1 else f"{len(chosen)} finalists"
        say(f"{who}, {options.seeds} seeds each: {len(jobs)} of {total} to train")
        if jobs:
            _train(study, folder, jobs, options, say, progress)
        _write_ledger(study, folder, chosen)
        study.leaderboard().to_csv(study.folder.leaderboard)
    return study


def _jobs(record: TrialRecord, options: ConfirmOptions) -> list[_Job]:
    """The trainings of a finalist: its recipe with other seeds, scored on more episodes."""
    recipe = record.recipe
    every = max(1, -(-recipe.budget.steps // CHECKPOINTS))
    shared = {
        "evaluation": recipe.evaluation.model_copy(update={"episodes": options.episodes}),
        "budget": recipe.budget.model_copy(update={"report_every": every}),
    }
    seeds = range(recipe.seed + 1, recipe.seed + 1 + options.seeds)
    return [
        _Job(record.number, seed, recipe.model_copy(update={**shared, "seed": seed}))
        for seed in seeds
    ]


def _require_same_episodes(folder: ConfirmFolder, episodes: int) -> None:
    for run in folder.runs():
        if run.one_shot_accuracy is not None:
            before = len(folder.scores(run))
            if before != episodes:
                raise StudyError(
                    f"--episodes must be {before}, on which this study was confirmed before, got "
                    f"{episodes}; or delete {folder.path} to confirm anew"
                )
            return


def _train(
    study: Study,
    folder: ConfirmFolder,
    jobs: list[_Job],
    options: ConfirmOptions,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    import ray

    from .confirm_worker import ConfirmWorker
    from .shipping import ship

    say("loading the data")
    datasets = _load(study, jobs, progress)
    stop = StopRequest(study.folder, None)
    with stop.on_signals(), open_session(options.address) as session:
        plan = plan_slots(
            session.nodes(), options.cpus_per_trial, options.gpus_per_trial, options.concurrency
        )
        say(plan.reason)
        shipped = {
            key: ship(data, is_one_machine=options.address is None)
            for key, data in datasets.items()
        }
        cpus, gpus = plan.resources.cpus, plan.resources.gpus
        worker = ray.remote(num_cpus=cpus, num_gpus=gpus)(ConfirmWorker)
        crew = _Crew(
            lambda: worker.remote(shipped, max(1, int(cpus)), gpus > 0), plan.concurrency, folder
        )
        try:
            crew.work(jobs, stop, say)
        finally:
            crew.dismiss()
    if stop.reason:
        raise ConfirmInterrupted(study, stop.reason, stop.signal_number)


def _load(study: Study, jobs: list[_Job], progress: Progress) -> dict[str, TrialData]:
    """The data of the finalists, which must be those of the search."""
    configs = {job.recipe.data.key: job.recipe.data for job in jobs}
    datasets = {key: load_trial_data(c, progress=progress) for key, c in configs.items()}
    for key, data in datasets.items():
        now, then = describe_data(data), study.settings.data[key]
        for name in ("fingerprint", "split"):
            if now[name] != then[name]:
                raise StudyError(
                    f"the data are not those of study {study.name}: {name} was {then[name]}, is "
                    f"{now[name]}. What was found on others cannot be confirmed here"
                )
    return datasets


class _Crew:
    """Actors of Ray that take one job after another; one that dies is replaced."""

    def __init__(self, hire: Callable[[], Any], size: int, folder: ConfirmFolder) -> None:
        self._hire = hire
        self._size = size
        self._folder = folder
        self._idle: list[Any] = []
        self._busy: dict[ray.ObjectRef[Any], tuple[Any, _Job]] = {}
        self._lost: Counter[tuple[int, int]] = Counter()

    def work(self, jobs: list[_Job], stop: StopRequest, say: Callable[[str], None]) -> None:
        """Every job, until it is done or something asks to stop."""
        import ray

        waiting, num_done = deque(jobs), 0
        while (waiting or self._busy) and not stop():
            while waiting and len(self._busy) < self._size:
                self._begin(waiting.popleft())
            ready, _ = ray.wait(list(self._busy), num_returns=1, timeout=0.2)
            for reference in ready:
                actor, job = self._busy.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayError as error:
                    self._lost[job.trial, job.seed] += 1
                    if self._lost[job.trial, job.seed] < MAX_LOST:
                        waiting.append(job)  # from its checkpoint, in another process
                        continue
                    result = {"failure": f"its process was lost {MAX_LOST} times: {error}"}
                else:
                    self._idle.append(actor)
                num_done += 1
                run = self._keep(job, result)
                say(f"{num_done} of {len(jobs)}: {_line(run)}")

    def dismiss(self) -> None:
        """End the actors, which a Ray that lives on would keep."""
        import ray

        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            ray.kill(actor)

    def _begin(self, job: _Job) -> None:
        actor = self._idle.pop() if self._idle else self._hire()
        checkpoint = str(self._folder.checkpoint(job.trial, job.seed))
        self._busy[actor.run.remote(job.recipe.to_dict(), checkpoint)] = (actor, job)

    def _keep(self, job: _Job, result: dict[str, Any]) -> ConfirmedRun:
        run = ConfirmedRun(
            trial=job.trial,
            seed=job.seed,
            episodes=result.get("episodes", ""),
            one_shot_accuracy=result.get("accuracy"),
            seconds=result.get("seconds", 0.0),
            is_collapsed=result.get("is_collapsed", False),
            failure=result.get("failure"),
        )
        self._folder.keep(run, result.get("scores"))
        return run


def _line(run: ConfirmedRun) -> str:
    if run.one_shot_accuracy is None:
        return f"trial {run.trial}, seed {run.seed} failed: {run.failure}"
    end = ", collapsed" if run.is_collapsed else ""
    return f"trial {run.trial}, seed {run.seed}: {run.one_shot_accuracy:.4f}{end}"


def _write_ledger(study: Study, folder: ConfirmFolder, chosen: list[TrialRecord]) -> None:
    """A line for every finalist whose runs are not in the ledger yet."""
    ledger = Ledger(study.folder.path / LEDGER_FILE)
    known = {(entry["trial"], tuple(entry["seeds"])) for entry in ledger.entries("confirm")}
    runs = folder.runs()
    records = {record.number: record for record in chosen}
    for row in confirmed(folder):
        seeds = [run.seed for run in runs if run.trial == row.trial]
        record = records.get(row.trial)
        if record is None or (row.trial, tuple(seeds)) in known:
            continue
        content = row.to_json()
        report = record.reports[-1]
        ledger.add(
            new_entry(
                "confirm",
                study=study.name,
                trial=row.trial,
                seeds=seeds,
                recipe=record.recipe.digest,
                selection=report.one_shot_accuracy,
                selection_interval=[report.interval_low, report.interval_high],
                confirmed=content["one_shot_accuracy"],
                **{name: value for name, value in content.items() if name.startswith("interval_")},
                failed=row.num_failed,
                collapsed=row.num_collapsed,
                num_episodes=row.num_episodes,
                episodes_hash=next(run.episodes for run in runs if run.trial == row.trial),
                split_hash=study.settings.data[record.recipe.data.key]["split"],
                versions=dict(study.settings.versions),
            )
        )
