"""The options of a search, checked where they are given."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ..cluster.storage import Storage
from .database_url import JOURNAL, checked_database

SamplerName = Literal["tpe", "random", "qmc", "gp", "cmaes", "nsga2"]
OBJECTIVES = ("accuracy", "embedding_dim", "device_seconds")
SchedulerName = Literal["asha", "hyperband", "median", "none"]
WandbMode = Literal["auto", "online", "offline", "off"]


@dataclass(frozen=True)
class SearchOptions:
    """How a search runs; what it searches is the space's.

    Attributes:
        trials: Of the whole study, early-stopped and failed ones included.
        time_budget_s: Wall-clock seconds of one start; trials still running then stay unfinished.
        concurrency: Trials at a time; None fills what Ray sees.
        cpus_per_trial: Ray CPUs of a trial; None is 1, or an even share beside a GPU.
        gpus_per_trial: Ray GPUs of a trial, fractions too; None is 1 where there are GPUs, else 0.
            `auto` packs as many trials on a GPU as its memory holds, by a short measurement.
        scheduler: `asha` stops the worse trials early, `hyperband` too but some of them later,
            `median` those under the median; `none` trains all to the end.
        sampler: Chooses the recipes; `search.samplers.SAMPLERS` says what each does.
        objectives: What is weighed, accuracy among it: the front of several is on the leaderboard.
        stratify: Key of the recipe, such as `objective.loss.name`, whose values get the same
            device-seconds before the good ones get more; None lets the sampler decide.
        seed: Of the sampler.
        baselines: Whether an untrained encoder and a classifier are scored beside the trials, at
            the cost of one trial.
        address: Of a running Ray cluster; None starts a private one on this machine.
        elastic: Whether the cluster grows for trials that wait; `concurrency` says how far.
        kept_in: Address of the storage that keeps the study and its checkpoints, for nodes without
            a shared disk; see `cluster.Storage`. None keeps them in the study's folder.
        wandb: Where the trials go besides the study: `auto` is online with a W&B login and offline
            files without.
        wandb_project: W&B project.
        database: Of the trials: `journal` is a file in the study's folder; else the URL of a
            SQLite, PostgreSQL or MySQL database, without a password.
        report_deadline_s: Longest wait for a report of a trial, which then fails; None is 20 times
            the longest that was seen, at least 5 minutes.
        trial_time_limit_s: Most seconds of a trial, over all its attempts; None is no limit.
        keep_checkpoints: Finished trials that keep their checkpoint, the best ones.
    """

    trials: int = 20
    time_budget_s: float | None = None
    concurrency: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | Literal["auto"] | None = None
    scheduler: SchedulerName = "asha"
    sampler: SamplerName = "tpe"
    objectives: tuple[str, ...] = ("accuracy",)
    stratify: str | None = None
    seed: int = 0
    baselines: bool = True
    address: str | None = None
    elastic: bool = False
    kept_in: str | None = None
    wandb: WandbMode = "auto"
    wandb_project: str = "tripletune"
    database: str = JOURNAL
    report_deadline_s: float | None = None
    trial_time_limit_s: float | None = None
    keep_checkpoints: int = 25

    def __post_init__(self) -> None:
        """Refuse what can't run.

        Raises:
            ValueError: With the option, the rule and the value.
        """
        if self.trials < 1:
            raise ValueError(f"trials must be >= 1, got {self.trials}")
        if self.time_budget_s is not None and self.time_budget_s <= 0:
            raise ValueError(f"time budget must be > 0 seconds, got {self.time_budget_s:g}")
        if self.address is not None and self.address.startswith("ray://"):
            raise ValueError(
                "address must be that of the head itself, host:port, since Ray Tune does not run "
                f"through Ray Client, got {self.address}; its port is 6379 by default"
            )
        if self.elastic and (self.concurrency is None or self.gpus_per_trial == "auto"):
            raise ValueError(
                "elastic needs concurrency, how far the cluster may grow, and gpus_per_trial as a "
                f"number, got concurrency={self.concurrency} and "
                f"gpus_per_trial={self.gpus_per_trial}"
            )
        if self.kept_in is not None:
            Storage.parse(self.kept_in)
        _check_objectives(self.objectives, self.scheduler, self.sampler)
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        for name in ("report_deadline_s", "trial_time_limit_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(
                    f"{name.replace('_', ' ')[:-2]} must be > 0 seconds, got {value:g}"
                )
        if self.keep_checkpoints < 1:
            raise ValueError(f"keep checkpoints must be >= 1, got {self.keep_checkpoints}")
        object.__setattr__(self, "database", checked_database(self.database))

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SearchOptions":
        """Options that `to_dict` gave; those of a newer version are left out."""
        known = {field.name for field in fields(cls)}
        found = {name: value for name, value in values.items() if name in known}
        return cls(**found | {"objectives": tuple(found.get("objectives", ("accuracy",)))})


def _check_objectives(names: tuple[str, ...], scheduler: str, sampler: str) -> None:
    got = ",".join(names)
    if not set(names) <= set(OBJECTIVES) or len(set(names)) < len(names):
        raise ValueError(
            f"objectives must be some of {', '.join(OBJECTIVES)}, each once, got {got}"
        )
    if "accuracy" not in names:
        raise ValueError(f"objectives must hold accuracy, got {got}")
    if len(names) > 1 and sampler in ("gp", "cmaes"):
        raise ValueError(
            f"sampler must be tpe, nsga2, random or qmc with several objectives, got {sampler}"
        )
    if len(names) > 1 and scheduler != "none":
        raise ValueError(
            "objectives beside accuracy need scheduler none, since early stopping compares "
            f"accuracy alone and would stop what is small and nearly as good, got {scheduler}; "
            "add --scheduler none"
        )


def gpus_of(text: str | None) -> float | Literal["auto"] | None:
    """GPUs of a trial as they are typed.

    Raises:
        ValueError: If it is neither a number nor `auto`.
    """
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"--gpus-per-trial must be a number such as 0.25, or auto, got {text!r}"
        ) from None
