"""How many trials share a GPU, by the memory that they were measured to need."""

import hashlib
import json
from dataclasses import dataclass

from ..spaces import Recipe
from .resources import MOST_TRIALS_PER_GPU_BY_DEFAULT

RESERVE = 0.1
"""Share of a GPU's memory that stays free: peaks differ, and memory lies in pieces."""

MAX_TRIES_WITHOUT_MEMORY = 5
"""So often a trial is tried again after it ran out of memory: from 16 on a GPU down to one."""

_STEPS = 10_000  # of a unit, in which Ray counts


@dataclass(frozen=True)
class GpuMemory:
    """What was measured of a trial on a GPU that it had to itself.

    Attributes:
        trial_bytes: Most that its tensors held, blocks of the allocator included.
        outside_bytes: What was in use besides: the context of its process, and other processes.
        total_bytes: Of the GPU.
    """

    trial_bytes: int
    outside_bytes: int
    total_bytes: int


def trials_per_gpu(memory: GpuMemory, *, most: int = MOST_TRIALS_PER_GPU_BY_DEFAULT) -> int:
    """How many trials fit on a GPU: floor((1 - reserve) total / (trial + context)).

    Every trial is a process with a context of its own. A trial that fills more than the GPU less
    the reserve is given the whole GPU: it did run there.

    Args:
        memory: Of one of them.
        most: They are no more, whatever fits.

    Returns:
        In [1, most].
    """
    usable = (1.0 - RESERVE) * memory.total_bytes
    return max(1, min(most, int(usable // max(1, memory.trial_bytes + memory.outside_bytes))))


def shape_of(recipe: Recipe) -> str:
    """Name of what a trial's memory depends on: images, batch, encoder and objective."""
    parts = (recipe.data, recipe.batch, recipe.encoder, recipe.objective, recipe.compute)
    text = json.dumps([part.model_dump(mode="json") for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Packing:
    """Decides the share of a GPU that each trial reserves, while the search runs.

    With a fixed share that is it. Else it begins with what the first trial was measured to need;
    every trial reports what it needs, and shapes that need more get more. When memory runs out
    all the same, half as many trials share a GPU from then on.
    """

    def __init__(self, first: GpuMemory | None, *, gpus: float = 0.0) -> None:
        """Begin.

        Args:
            first: Of the trial that was probed; None where the share is fixed.
            gpus: The fixed share, or number, of GPUs of a trial.
        """
        self._first = first
        self._gpus = gpus
        self._per_gpu = trials_per_gpu(first) if first else 1
        self._per_gpu_of_shape: dict[str, int] = {}
        self._tries: dict[int, int] = {}

    def gpus(self, shape: str) -> float:
        """What a trial of a shape reserves; shares are rounded down to what Ray can count."""
        if self._first is None:
            return self._gpus
        per_gpu = min(self._per_gpu, self._per_gpu_of_shape.get(shape, self._per_gpu))
        return _STEPS // per_gpu / _STEPS

    def measured(self, shape: str, trial_bytes: int) -> None:
        """Note what a trial needed at its peak; its context is taken to be that of the first."""
        if self._first is None:
            return
        memory = GpuMemory(trial_bytes, self._first.outside_bytes, self._first.total_bytes)
        before = self._per_gpu_of_shape.get(shape, self._per_gpu)
        self._per_gpu_of_shape[shape] = min(before, trials_per_gpu(memory))

    def out_of_memory(self, number: int, gpus: float) -> bool:
        """Note that a trial ran out of memory, and lower the packing.

        Args:
            number: Of the trial.
            gpus: What it had reserved.

        Returns:
            Whether to try it again: not when it had a whole GPU, and not for ever. With a fixed
            share it is tried again as it is: its neighbours come and go.
        """
        self._tries[number] = self._tries.get(number, 0) + 1
        if gpus >= 1:
            return False
        if self._first is not None:
            shared_by = round(1 / gpus)
            self._per_gpu = max(1, min(self._per_gpu, shared_by // 2))
        return self._tries[number] < MAX_TRIES_WITHOUT_MEMORY
