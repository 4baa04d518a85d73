"""How many trials share a GPU: as asked, or by the memory that a trial is measured to need."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..cluster import GpuMemory, Packing, SlotPlan, plan_slots, shape_of
from ..spaces import Recipe, Space
from .datasets import StudyData
from .folder import StudyError
from .options import SearchOptions

if TYPE_CHECKING:
    import ray

    from ..trainables import TrialData
    from .shipping import Mapped

PROBE_STEPS = 3


def plan_trials(
    nodes: Sequence[Mapping[str, float]],
    options: SearchOptions,
    space: Space,
    data: StudyData,
    say: Callable[[str], None],
) -> tuple[SlotPlan, Packing]:
    """How many trials run at a time, and who decides what share of a GPU each reserves.

    With `gpus_per_trial="auto"` and a GPU, the first recipe of the space is trained for a few
    steps, alone on one, and as many as fit are packed on each.

    Args:
        nodes: Resources of each node under Ray's names.
        options: Of the search.
        space: What may be tried.
        data: Of the space.
        say: Told what is measured.

    Raises:
        StudyError: If a trial fits on no GPU.
        ValueError: As `plan_slots` does.
    """
    cpus, concurrency, grows = options.cpus_per_trial, options.concurrency, options.elastic
    if options.gpus_per_trial != "auto":
        plan = plan_slots(nodes, cpus, options.gpus_per_trial, concurrency, is_elastic=grows)
        return plan, Packing(None, gpus=plan.resources.gpus)
    if not any(node.get("GPU", 0) >= 1 for node in nodes):
        return plan_slots(nodes, cpus, 0.0, concurrency, is_elastic=grows), Packing(None)
    say("measuring the memory of a trial on a GPU")
    recipe = space.build(lambda _, distribution: distribution.middle)
    first = probe_memory(
        recipe, data.datasets[recipe.data.key], is_one_machine=options.address is None
    )
    packing = Packing(first)
    gpus = packing.gpus(shape_of(recipe))
    return plan_slots(nodes, cpus, gpus, concurrency, is_elastic=grows), packing


def probe_memory(recipe: Recipe, data: "TrialData", *, is_one_machine: bool) -> GpuMemory:
    """What a recipe needs alone on a GPU, in a process of its own.

    Args:
        recipe: What to train.
        data: Its data set.
        is_one_machine: Whether the GPU is on this machine.

    Raises:
        StudyError: If it does not even fit there, or fails otherwise.
    """
    import ray

    from .shipping import ship

    # A process for one probe: its end gives the context back.
    probe = ray.remote(num_gpus=1, num_cpus=1, max_calls=1)(_probe)
    try:
        memory: GpuMemory = ray.get(
            # In a list, in which Ray does not look for what it could fetch itself.
            probe.remote(recipe, [ship(data, is_one_machine=is_one_machine)])
        )
    except ray.exceptions.RayError as error:
        raise StudyError(
            f"a trial must fit on a GPU, got {str(error).strip().splitlines()[-1]}: choose a "
            "smaller batch, image or encoder, or write the share with --gpus-per-trial"
        ) from error
    return memory


def _probe(recipe: Recipe, shipments: "list[Mapped | ray.ObjectRef[TrialData]]") -> GpuMemory:
    """Train a few steps and evaluate once."""
    from ..trainables import Trial, default_device, prepare
    from ..trainables.gpu_memory import begin_peak, outside_bytes, peak_bytes
    from .shipping import receive

    (data,) = map(receive, shipments)
    device = default_device()
    begin_peak(device)
    trial = Trial(recipe, prepare(data, recipe.evaluation, device))
    trial.train(PROBE_STEPS)
    trial.evaluate()
    outside, total = outside_bytes(device)
    return GpuMemory(peak_bytes(device), outside, total)
