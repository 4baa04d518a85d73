"""Is everything there that a search on a cluster needs? One row a question, with the fix."""

import importlib.util
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .storage import Storage, StorageError, check_from_every_node

PACKAGES = ("ray", "torch", "torchvision", "optuna", "numpy", "pydantic")
"""Whose versions must be the driver's on every node: pickles and checkpoints pass between them."""

MOST_SKEW_S = 5.0
LEAST_DISK_GB = 10.0
LEAST_STORE_GB = 1.0
MOST_FULL = 0.9
NODE_TIMEOUT_S = 60.0
"""How long a node may take to answer; a new process imports torch first."""

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Attributes:
        question: What was asked, short.
        where: Node, or `here`.
        status: `warning` leaves the search possible.
        answer: What was found.
        fix: What to do; empty where it is well.
    """

    question: str
    where: str
    status: Status
    answer: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Facts:
    """What a node says of itself.

    Attributes:
        python: Its version.
        packages: Versions by name; empty for those that are not there.
        origin: Where this package was imported from.
        now: Unix seconds when it was asked.
        disk_free_gb: Where its temporary files lie.
        memory_used: Share of its memory, in [0, 1].
        gpus: Of the machine, as its driver shows them.
    """

    python: str
    packages: Mapping[str, str]
    origin: str
    now: float
    disk_free_gb: float
    memory_used: float
    gpus: int = 0


def facts_of_here() -> Facts:
    """What this process's machine says."""
    return Facts(
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        origin=str(Path(__file__).parents[1]),
        now=time.time(),
        disk_free_gb=shutil.disk_usage(tempfile.gettempdir()).free / 2**30,
        memory_used=_memory_used(),
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
    )


def check_here(
    environment: Mapping[str, str],
    *,
    storage: Storage | None,
    reach: Callable[[str, int], str | None] | None = None,
) -> Iterator[Finding]:
    """What can be asked without a cluster.

    Args:
        environment: Of this process.
        storage: To be tried from here; None leaves it out.
        reach: Says why a host's port cannot be reached; None if it can.
    """
    facts = facts_of_here()
    yield from _machine("here", facts)
    missing = [name for name, found in facts.packages.items() if not found]
    yield Finding(
        "packages",
        "here",
        "failed" if missing else "ok",
        ", ".join(f"{name} {found or 'missing'}" for name, found in facts.packages.items()),
        f"pip install {' '.join(missing)}" if missing else "",
    )
    has_client = importlib.util.find_spec("aiohttp") is not None
    yield Finding(
        "jobs client",
        "here",
        "ok" if has_client else "warning",
        "there" if has_client else "not installed: no submit, jobs and logs",
        "" if has_client else "pip install 'tripletune[cluster]'",
    )
    yield _wandb(environment, reach or _unreachable)
    if storage is not None:
        yield _storage_from_here(storage)


def check_cluster(*, storage: Storage | None) -> Iterator[Finding]:
    """What the nodes of the connected cluster say; `open_session` connected to it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = facts_of_here()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    began = time.monotonic()
    ask = ray.remote(num_cpus=0, max_retries=0)(facts_of_here)
    ray.get(ray.remote(num_cpus=0)(_nothing).remote())
    took = time.monotonic() - began
    yield Finding(
        "first task",
        "cluster",
        "ok" if took < NODE_TIMEOUT_S else "warning",
        f"{took:.1f} s",
        "" if took < NODE_TIMEOUT_S else "look for a busy or small node: every trial starts so",
    )
    for node in nodes:
        where = str(node["NodeManagerAddress"])
        before = time.time()
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        try:
            facts: Facts = ray.get(
                ask.options(scheduling_strategy=place).remote(), timeout=NODE_TIMEOUT_S
            )
        except (ray.exceptions.RayError, TimeoutError) as error:
            yield Finding(
                "package",
                where,
                "failed",
                " ".join(str(error).split())[-200:] or type(error).__name__,
                "install tripletune and its dependencies there, of one version with the driver's",
            )
            continue
        yield from compare(where, facts, here, asked=(before, time.time()))
        yield from _machine(where, facts)
        yield from _resources(where, node["Resources"], facts)
    if storage is not None:
        try:
            check_from_every_node(storage)
        except StorageError as error:
            yield Finding("storage", "all nodes", "failed", str(error), "see the message")
        else:
            yield Finding("storage", "all nodes", "ok", f"{storage} written, read, deleted")


def compare(
    where: str, there: Facts, here: Facts, *, asked: tuple[float, float]
) -> Iterator[Finding]:
    """How a node differs from the driver.

    Args:
        where: The node.
        there: What it says.
        here: What the driver says.
        asked: Unix seconds of the question and of its answer, by the driver's clock.
    """
    names = [
        name for name, found in here.packages.items() if there.packages.get(name, "") != found
    ]
    same_python = there.python.rsplit(".", 1)[0] == here.python.rsplit(".", 1)[0]
    if not same_python:
        names.insert(0, "python")
    differ = {
        name: (there.python, here.python)
        if name == "python"
        else (there.packages.get(name, "") or "missing", here.packages[name] or "missing")
        for name in names
    }
    yield Finding(
        "versions",
        where,
        "failed" if names else "ok",
        ", ".join(f"{name} {found} (driver: {own})" for name, (found, own) in differ.items())
        or f"python {there.python} and {len(here.packages)} packages as on the driver",
        "use one image, or one lock file, on the driver and all nodes" if names else "",
    )
    early, late = asked
    skew = max(early - there.now, there.now - late, 0.0)
    yield Finding(
        "clock",
        where,
        "ok" if skew <= MOST_SKEW_S else "warning",
        "agrees" if skew <= MOST_SKEW_S else f"is {skew:.0f} s off",
        "" if skew <= MOST_SKEW_S else "start chrony or systemd-timesyncd there",
    )


def _machine(where: str, facts: Facts) -> Iterator[Finding]:
    has_disk = facts.disk_free_gb >= LEAST_DISK_GB
    yield Finding(
        "disk",
        where,
        "ok" if has_disk else "warning",
        f"{facts.disk_free_gb:.0f} GB free for temporary files",
        "" if has_disk else f"free at least {LEAST_DISK_GB:g} GB, or set TMPDIR to another disk",
    )
    has_memory = facts.memory_used <= MOST_FULL
    yield Finding(
        "memory",
        where,
        "ok" if has_memory else "warning",
        f"{facts.memory_used:.0%} in use",
        "" if has_memory else "Ray ends trials from 95 % on: end what else runs there",
    )


def _resources(where: str, resources: Mapping[str, float], facts: Facts) -> Iterator[Finding]:
    declared = resources.get("GPU", 0.0)
    agree = declared == facts.gpus
    yield Finding(
        "GPUs",
        where,
        "ok" if agree else "warning",
        f"Ray counts {declared:g}, the machine has {facts.gpus}",
        ""
        if agree
        else "check the driver and `nvidia-smi` there, or --num-gpus of its `ray start`",
    )
    store = resources.get("object_store_memory", 0.0) / 2**30
    yield Finding(
        "object store",
        where,
        "ok" if store >= LEAST_STORE_GB else "warning",
        f"{store:.1f} GB",
        ""
        if store >= LEAST_STORE_GB
        else "data sets spill to disk: give /dev/shm more, or --object-store-memory",
    )


def _wandb(environment: Mapping[str, str], reach: Callable[[str, int], str | None]) -> Finding:
    address = environment.get("WANDB_BASE_URL", "https://api.wandb.ai")
    parts = urlsplit(address)
    host = parts.hostname or ""
    problem = reach(host, parts.port or (80 if parts.scheme == "http" else 443))
    has_key = bool(environment.get("WANDB_API_KEY")) or (Path.home() / ".netrc").is_file()
    if problem is None and has_key:
        return Finding("W&B", "here", "ok", f"{host} answers, a key is there")
    if not has_key:
        return Finding(
            "W&B", "here", "warning", "no key: runs are kept offline", "wandb login, or --no-wandb"
        )
    return Finding(
        "W&B",
        "here",
        "warning",
        f"{host} cannot be reached ({problem}): runs are kept offline",
        "open the way there, or set WANDB_BASE_URL, or --wandb offline",
    )


def _unreachable(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _storage_from_here(storage: Storage) -> Finding:
    probe = storage.child(f".check-here-{os.getpid()}")
    try:
        probe.write(b"x")
        is_read = probe.read() == b"x"
        probe.delete()
    except (StorageError, OSError) as error:
        return Finding(
            "storage",
            "here",
            "warning",
            str(error),
            "only `fetch` and large data need it from here; the nodes are asked for themselves",
        )
    return Finding("storage", "here", "ok" if is_read else "failed", f"{storage} is usable")


def _memory_used() -> float:
    """Share of the machine's memory that is in use; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return 1.0 - kilobytes["MemAvailable"] / kilobytes["MemTotal"]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _nothing() -> None:
    """The least that a task can do."""
