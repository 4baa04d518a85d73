"""The command that writes what starts a cluster: manifests."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..folder import write_text
from .app import app


class Kind(StrEnum):
    """As `cluster.manifests.MANIFESTS`."""

    DOCKER = "docker"
    KUBERAY = "kuberay"
    RAY_UP = "ray-up"
    SLURM = "slurm"


class Provider(StrEnum):
    """As `cluster.manifests.PROVIDERS`."""

    AWS = "aws"
    GCP = "gcp"
    LOCAL = "local"


@app.command()
def manifests(
    kind: Annotated[Kind, typer.Argument(help="What to write.")],
    name: Annotated[str, typer.Option(help="Of the cluster.")] = "tripletune",
    image: Annotated[str, typer.Option(help="Container image.")] = "tripletune:latest",
    storage: Annotated[
        str, typer.Option(help="That keeps the studies: s3://, gs:// or file://.")
    ] = "s3://bucket/runs",
    space: Annotated[str, typer.Option(help="Preset or file that is searched.")] = "quickstart",
    trials: Annotated[int, typer.Option(help="Of the search.")] = 100,
    workers: Annotated[int, typer.Option(help="Most worker nodes.")] = 4,
    gpus: Annotated[int, typer.Option(help="GPUs of a worker.")] = 1,
    cpus: Annotated[int, typer.Option(help="CPUs of a worker.")] = 8,
    memory_gb: Annotated[int, typer.Option(help="Memory of a worker, GB.")] = 32,
    provider: Annotated[Provider, typer.Option(help="Of ray-up.")] = Provider.AWS,
    host: Annotated[
        list[str] | None, typer.Option(help="Of ray-up on own machines: head first, repeat.")
    ] = None,
    user: Annotated[str, typer.Option(help="That ray-up logs in as.")] = "ubuntu",
    time_limit: Annotated[str, typer.Option(help="Of a SLURM job.")] = "12:00:00",
    partition: Annotated[str, typer.Option(help="Of SLURM; default: its own.")] = "",
    to: Annotated[Path | None, typer.Option("--to", help="File to write.")] = None,
) -> None:
    """Write what starts a cluster: for Kubernetes, `ray up`, SLURM, or an image.

    Example: tripletune manifests slurm --workers 4 --storage file:///shared/runs --to search.sh
    """
    from ...cluster.manifests import MANIFESTS, ManifestOptions
    from ...cluster.storage import Storage

    Storage.parse(storage)
    options = ManifestOptions(
        name=name,
        image=image,
        storage=storage,
        space=space,
        trials=trials,
        workers=workers,
        gpus=gpus,
        cpus=cpus,
        memory_gb=memory_gb,
        provider=provider.value,
        hosts=tuple(host or ()),
        user=user,
        time_limit=time_limit,
        partition=partition,
    )
    text = MANIFESTS[kind.value](options)
    if to is None:
        typer.echo(text, nl=False)
    else:
        write_text(to, text)
        typer.echo(f"wrote {to}")
