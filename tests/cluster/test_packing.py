"""How many trials share a GPU; the memory is simulated."""

import pytest

from tripletune.cluster import GpuMemory, Packing, shape_of, trials_per_gpu
from tripletune.cluster.packing import MAX_TRIES_WITHOUT_MEMORY, RESERVE
from tripletune.spaces import BatchConfig, Conv4, ObjectiveConfig, Recipe, SupCon

GIB = 2**30
H200 = 139 * GIB
CONTEXT = GIB // 2


def memory(trial_gib: float, total: int = H200) -> GpuMemory:
    return GpuMemory(int(trial_gib * GIB), CONTEXT, total)


@pytest.mark.parametrize(
    ("trial_gib", "total", "expected"),
    [
        (0.5, H200, 16),  # more would fit, but 16 is the most
        (10.0, H200, 11),  # 125.1 GiB without the reserve, 10.5 each
        (61.0, H200, 2),
        (63.0, H200, 1),
        (130.0, H200, 1),  # it did run alone
        (1.0, 8 * GIB, 4),
        (0.0, 0, 1),
    ],
)
def test_as_many_trials_as_fit_beside_the_reserve(
    trial_gib: float, total: int, expected: int
) -> None:
    assert trials_per_gpu(memory(trial_gib, total)) == expected


@pytest.mark.parametrize("trial_gib", [0.1 * step for step in range(1, 300, 7)])
def test_what_is_packed_leaves_the_reserve_free(trial_gib: float) -> None:
    one = memory(trial_gib, 80 * GIB)
    used = trials_per_gpu(one) * (one.trial_bytes + one.outside_bytes)
    assert used <= (1 - RESERVE) * one.total_bytes


@pytest.mark.parametrize("trial_gib", [0.5, 5.0, 10.0, 20.0, 40.0, 90.0])
def test_the_shares_of_all_that_fit_are_at_most_one_gpu(trial_gib: float) -> None:
    first = memory(trial_gib)
    packing = Packing(first)
    count = trials_per_gpu(first)
    assert count * packing.gpus("shape") <= 1.0 < (count + 1) * packing.gpus("shape")


def test_a_shape_that_needs_more_gets_more_and_the_others_keep_their_share() -> None:
    packing = Packing(memory(10.0))
    packing.measured("large", 40 * GIB)
    packing.measured("small", 1 * GIB)
    assert packing.gpus("large") == 0.3333
    assert packing.gpus("small") == packing.gpus("unknown") == 0.0909
    packing.measured("large", 20 * GIB)  # a later trial that stopped before its peak
    assert packing.gpus("large") == 0.3333


def test_out_of_memory_halves_the_packing_until_a_trial_is_alone() -> None:
    packing = Packing(memory(0.5))
    shares = [packing.gpus("shape")]
    while packing.out_of_memory(number=3, gpus=shares[-1]):
        shares.append(packing.gpus("shape"))
    assert shares == [0.0625, 0.125, 0.25, 0.5, 1.0]


def test_a_trial_that_had_a_whole_gpu_is_not_tried_again() -> None:
    assert not Packing(memory(130.0)).out_of_memory(number=0, gpus=1.0)


def test_several_trials_that_starve_together_lower_the_packing_once() -> None:
    packing = Packing(memory(0.5))
    for number in range(4):  # all had a sixteenth
        assert packing.out_of_memory(number, gpus=0.0625)
    assert packing.gpus("shape") == 0.125


@pytest.mark.parametrize("gpus", [0.0, 0.25])
def test_a_fixed_share_stays_and_tries_come_to_an_end(gpus: float) -> None:
    packing = Packing(None, gpus=gpus)
    packing.measured("shape", 100 * GIB)
    tries = 1
    while packing.out_of_memory(number=0, gpus=packing.gpus("shape")):
        tries += 1
    assert tries == MAX_TRIES_WITHOUT_MEMORY
    assert packing.gpus("shape") == gpus
    assert packing.out_of_memory(number=1, gpus=gpus)


def test_a_shape_is_what_memory_depends_on() -> None:
    recipe = Recipe(objective=ObjectiveConfig(loss=SupCon()))
    assert shape_of(recipe) == shape_of(recipe.model_copy(update={"seed": 5}))
    for change in (
        {"batch": BatchConfig(classes=7)},
        {"encoder": Conv4(width=7)},
    ):
        assert shape_of(recipe) != shape_of(recipe.model_copy(update=change))
