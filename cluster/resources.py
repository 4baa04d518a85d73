"""How many trials run at a time, and what each may use."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_CPUS_BY_DEFAULT = 8
"""A trial is given no more CPUs unasked: small batches do not use them."""

MOST_TRIALS_PER_GPU_BY_DEFAULT = 16
"""A GPU is not divided further unasked: every trial costs its process's share of the memory."""

_CPU_SHARES = (*range(MOST_CPUS_BY_DEFAULT, 0, -1), 0.5, 0.25, 0.1)
_STEPS = 10_000  # of a unit, in which Ray counts


@dataclass(frozen=True)
class TrialResources:
    """What one trial reserves.

    Attributes:
        cpus: CPUs, > 0; the trial's process gets as many threads.
        gpus: GPUs, a fraction or a whole number; a fraction shares the GPU's time and does not
            divide its memory.
    """

    cpus: float
    gpus: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what Ray could never place."""
        if not (math.isfinite(self.cpus) and self.cpus > 0):
            raise ValueError(f"cpus_per_trial must be > 0, got cpus_per_trial={self.cpus:g}")
        if not (math.isfinite(self.gpus) and self.gpus >= 0):
            raise ValueError(f"gpus_per_trial must be >= 0, got gpus_per_trial={self.gpus:g}")
        if self.gpus > 1 and not float(self.gpus).is_integer():
            raise ValueError(
                "gpus_per_trial must be a whole number above 1, as Ray divides only single GPUs, "
                f"got gpus_per_trial={self.gpus:g}"
            )

    @property
    def bundle(self) -> dict[str, float]:
        """Under Ray's names, as a placement group wants them."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    def __str__(self) -> str:
        """Returns `1 CPU`, or `4 CPUs and 0.5 GPU`."""
        return _amounts(self.cpus, self.gpus)


@dataclass(frozen=True)
class SlotPlan:
    """How many trials run at a time.

    Attributes:
        resources: Of each of them.
        concurrency: How many, >= 1.
        reason: One line for the user.
    """

    resources: TrialResources
    concurrency: int
    reason: str


def plan_slots(
    nodes: Sequence[Mapping[str, float]],
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
    concurrency: int | None = None,
    *,
    is_elastic: bool = False,
) -> SlotPlan:
    """Decides how many trials run at a time, and what each may use.

    What is given stays; the rest is chosen: where there are GPUs, a whole one per trial, or the
    largest even fraction with which ``concurrency`` trials fit; CPUs are divided among the trials
    of a GPU or of a given concurrency, up to 8 each; otherwise it is one CPU per trial, and as
    many trials as fit.

    Args:
        nodes: Resources of each node under Ray's names, as ``RaySession.nodes`` returns them; a
            trial never spans two.
        cpus_per_trial: > 0.
        gpus_per_trial: >= 0; 0 leaves GPUs alone.
        concurrency: Trials at a time, >= 1.
        is_elastic: Whether the cluster adds nodes for trials that wait; then ``concurrency`` must
            be given, and a trial that fits on no node yet waits for one.

    Raises:
        ValueError: An argument is out of its range, no node can ever hold a trial, or fewer than
            ``concurrency`` trials fit.
    """
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"concurrency must be >= 1, got concurrency={concurrency}")
    if gpus_per_trial is None:
        gpus_per_trial = _default_gpus(nodes, concurrency)
    if cpus_per_trial is None:
        cpus_per_trial = _default_cpus(nodes, gpus_per_trial, concurrency)
    resources = TrialResources(cpus_per_trial, gpus_per_trial)

    if is_elastic:
        if concurrency is None:
            raise ValueError(
                "concurrency must be given for an elastic cluster, which grows as far as trials "
                "wait; add --concurrency"
            )
        return SlotPlan(
            resources,
            concurrency,
            f"up to {concurrency} trials at a time, {resources} each, as the cluster grows from "
            f"{describe_nodes(nodes)}",
        )
    slots = count_slots(nodes, resources)
    if slots == 0:
        raise ValueError(
            f"a trial must fit on one node, got cpus_per_trial={resources.cpus:g} and "
            f"gpus_per_trial={resources.gpus:g} with {describe_nodes(nodes)}; ask "
            "for less per trial"
        )
    if concurrency is not None and concurrency > slots:
        raise ValueError(
            f"concurrency must be <= {slots}, as no more trials of {resources} fit on "
            f"{describe_nodes(nodes)}, got concurrency={concurrency}; lower it, or "
            "cpus_per_trial or gpus_per_trial"
        )
    concurrency = concurrency or slots
    trials = "1 trial" if concurrency == 1 else f"{concurrency} trials"
    return SlotPlan(
        resources=resources,
        concurrency=concurrency,
        reason=f"{trials} at a time, {resources} each, on {describe_nodes(nodes)}",
    )


def _default_gpus(nodes: Sequence[Mapping[str, float]], concurrency: int | None) -> float:
    if not any(node.get("GPU", 0) >= 1 for node in nodes):
        return 0.0
    for trials_per_gpu in range(1, MOST_TRIALS_PER_GPU_BY_DEFAULT + 1):
        gpus = _STEPS // trials_per_gpu / _STEPS
        if concurrency is None or _count_gpu_slots(nodes, gpus) >= concurrency:
            return gpus
    return 1.0


def _default_cpus(
    nodes: Sequence[Mapping[str, float]], gpus: float, concurrency: int | None
) -> float:
    if not gpus and concurrency is None:
        return 1.0
    wanted = concurrency or _count_gpu_slots(nodes, gpus)
    for cpus in _CPU_SHARES:
        if cpus < 1 and not gpus:
            break
        if count_slots(nodes, TrialResources(cpus, gpus)) >= wanted:
            return float(cpus)
    return 1.0


def count_slots(nodes: Sequence[Mapping[str, float]], resources: TrialResources) -> int:
    """How many trials fit on the nodes at once."""
    slots = 0
    for node in nodes:
        by_cpus = _times(node.get("CPU", 0), resources.cpus)
        slots += min(by_cpus, _gpu_slots(node, resources.gpus)) if resources.gpus else by_cpus
    return slots


def _count_gpu_slots(nodes: Sequence[Mapping[str, float]], gpus: float) -> int:
    return sum(_gpu_slots(node, gpus) for node in nodes)


def _gpu_slots(node: Mapping[str, float], gpus: float) -> int:
    available = node.get("GPU", 0)
    if gpus < 1:
        # A fraction lies within one GPU: at 0.6 each, two trials fit on two GPUs, not three.
        return math.floor(available) * _times(1, gpus)
    return _times(available, gpus)


def _times(available: float, amount: float) -> int:
    # Ray counts in whole steps, so that three times 0.1 fit into 0.3, which floats deny.
    return round(available * _STEPS) // max(1, round(amount * _STEPS))


def describe_nodes(nodes: Sequence[Mapping[str, float]]) -> str:
    """Returns `3 nodes with 4 CPUs and 2 GPUs`."""
    total = _amounts(sum(n.get("CPU", 0) for n in nodes), sum(n.get("GPU", 0) for n in nodes))
    return total if len(nodes) == 1 else f"{len(nodes)} nodes with {total}"


def _amounts(cpus: float, gpus: float) -> str:
    text = f"{cpus:g} CPU{'' if cpus == 1 else 's'}"
    return text + (f" and {gpus:g} GPU{'' if gpus <= 1 else 's'}" if gpus else "")
