"""The options that a search takes wherever it runs: here, and as a job of a cluster."""

from enum import StrEnum
from typing import Annotated

import typer


class Scheduler(StrEnum):
    """Early stopping, as `SchedulerName`."""

    ASHA = "asha"
    HYPERBAND = "hyperband"
    MEDIAN = "median"
    NONE = "none"


class Sampler(StrEnum):
    """What chooses the recipes, as `SamplerName`."""

    TPE = "tpe"
    RANDOM = "random"
    QMC = "qmc"
    GP = "gp"
    CMAES = "cmaes"
    NSGA2 = "nsga2"


class Wandb(StrEnum):
    """Where trials are logged besides the study, as `WandbMode` without `off`."""

    AUTO = "auto"
    ONLINE = "online"
    OFFLINE = "offline"


TrialsOption = Annotated[int, typer.Option(help="How many, early-stopped ones included.")]
CpusOption = Annotated[float | None, typer.Option(help="Ray CPUs of a trial.")]
ElasticOption = Annotated[
    bool, typer.Option("--elastic", help="The cluster grows for --concurrency trials.")
]
SchedulerOption = Annotated[Scheduler, typer.Option(help="asha stops the worse trials early.")]
SamplerOption = Annotated[Sampler, typer.Option(help="What chooses the recipes.")]
SeedOption = Annotated[int, typer.Option(help="Of the sampler.")]
NameOption = Annotated[str | None, typer.Option(help="Of the study; default: space and time.")]
NoWandbOption = Annotated[bool, typer.Option("--no-wandb", help="Log nothing to W&B.")]
WandbProjectOption = Annotated[str, typer.Option(help="W&B project.")]
