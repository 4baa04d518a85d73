"""Text of the files that start a cluster: KubeRay, `ray up`, SLURM, Docker.

Each is a template with comments for the person who will own the file; the options fill it in. They
share one image, one storage and the rule that a cluster asks for a token.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Final

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_DURATION = re.compile(r"(\d+-)?\d{1,3}:\d{2}:\d{2}")

PROVIDERS: Final = ("aws", "gcp", "local")


@dataclass(frozen=True)
class ManifestOptions:
    """What the templates are filled with.

    Attributes:
        name: Of the cluster: small letters, digits and '-', at most 40.
        image: Container image with this package, Ray and torch, one and the same on all nodes.
        storage: Address that keeps the studies.
        space: Preset or file that the job searches.
        trials: Of the search.
        workers: Most worker nodes, >= 1; the cluster begins with none.
        gpus: Of a worker, >= 0.
        cpus: Of a worker, >= 1.
        memory_gb: Of a worker, >= 1.
        provider: Of `ray up`, one of `PROVIDERS`.
        hosts: Of the provider `local`: the head first, then the workers.
        user: That `ray up` logs in as.
        time_limit: Of a SLURM job, HH:MM:SS or D-HH:MM:SS.
        partition: Of SLURM; empty takes its default.
    """

    name: str = "tripletune"
    image: str = "tripletune:latest"
    storage: str = "s3://bucket/runs"
    space: str = "quickstart"
    trials: int = 100
    workers: int = 4
    gpus: int = 1
    cpus: int = 8
    memory_gb: int = 32
    provider: str = "aws"
    hosts: tuple[str, ...] = ()
    user: str = "ubuntu"
    time_limit: str = "12:00:00"
    partition: str = ""

    def __post_init__(self) -> None:
        """Refuse what no cluster takes, or what would end in a file as something else.

        Raises:
            ValueError: With the option, the rule and the value.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                "name must be 1 to 40 small letters, digits and '-', and begin and end with a "
                f"letter or digit, got name={self.name!r}"
            )
        for option, least in (
            *(("trials", 1), ("workers", 1), ("gpus", 0), ("cpus", 1), ("memory_gb", 1)),
        ):
            if getattr(self, option) < least:
                raise ValueError(f"{option} must be >= {least}, got {getattr(self, option)}")
        if self.provider not in PROVIDERS:
            raise ValueError(
                f"provider must be one of {', '.join(PROVIDERS)}, got provider={self.provider!r}"
            )
        if self.provider == "local" and len(self.hosts) < 2:
            raise ValueError(
                "hosts must name a head and at least one worker for provider=local, got "
                f"{len(self.hosts)}; give --host HEAD --host WORKER"
            )
        if not _DURATION.fullmatch(self.time_limit):
            raise ValueError(
                f"time_limit must be HH:MM:SS or D-HH:MM:SS, got time_limit={self.time_limit!r}"
            )
        for option in ("image", "storage", "space", "user", "partition", "hosts"):
            texts = self.hosts if option == "hosts" else (getattr(self, option),)
            if any(re.search(r"[\s\"'`$\\]", text) for text in texts):
                raise ValueError(
                    f"{option} must hold no white space, quotes, '$' and '\\', got {texts}"
                )


def kuberay(options: ManifestOptions) -> str:
    """A RayCluster whose GPU workers come and go, and a RayJob that searches on it."""
    return _filled("kuberay.yaml", options, gpu_limit=_gpu_lines(options))


def ray_up(options: ManifestOptions) -> str:
    """The file of `ray up` for AWS, Google Cloud or machines of one's own."""
    return _filled(f"ray-up-{options.provider}.yaml", options, **_hosts(options))


def slurm(options: ManifestOptions) -> str:
    """A batch script: Ray on all nodes of an allocation, requeued and resumed when pre-empted."""
    partition = f"#SBATCH --partition={options.partition}\n" if options.partition else ""
    gpus = f"#SBATCH --gpus-per-node={options.gpus}\n" if options.gpus else ""
    return _filled("slurm.sh", options, partition_line=partition, gpus_line=gpus)


def dockerfile(options: ManifestOptions) -> str:
    """The image that all of them run."""
    return _filled("Dockerfile", options)


MANIFESTS: Mapping[str, Callable[[ManifestOptions], str]] = {
    "docker": dockerfile,
    "kuberay": kuberay,
    "ray-up": ray_up,
    "slurm": slurm,
}
"""What `tripletune manifests` writes, by name."""


def _filled(name: str, options: ManifestOptions, **more: str) -> str:
    import ray

    from .. import __version__

    template = Template((files(__package__) / "templates" / name).read_text())
    values = {**vars(options), "version": __version__, "ray_version": ray.__version__, **more}
    return template.substitute({key: str(value) for key, value in values.items()})


def _gpu_lines(options: ManifestOptions) -> str:
    return f"\n                  nvidia.com/gpu: {options.gpus}" if options.gpus else ""


def _hosts(options: ManifestOptions) -> dict[str, str]:
    if options.provider != "local":
        return {}
    head, *workers = options.hosts
    return {"head_host": head, "worker_hosts": "[" + ", ".join(workers) + "]"}
