import re
from typing import Any

import pytest

from tripletune.cluster import TrialResources, plan_slots

LAPTOP = [{"CPU": 2.0}]
WORKSTATION = [{"CPU": 16.0, "GPU": 2.0}]
UNEVEN = [{"CPU": 3.0}, {"CPU": 3.0}]
MIXED = [{"CPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}]


@pytest.mark.parametrize(
    ("nodes", "asked", "expected"),
    [
        # Nothing asked: one CPU a trial without GPUs, one GPU a trial with them.
        (LAPTOP, {}, (1, 0, 2)),
        (WORKSTATION, {}, (8, 1, 2)),
        (MIXED, {}, (2, 1, 4)),
        ([{"CPU": 64.0, "GPU": 1.0}], {}, (8, 1, 1)),
        ([{"CPU": 1.0, "GPU": 2.0}], {}, (0.5, 1, 2)),
        # A concurrency asked: the machine is divided among so many.
        (LAPTOP, {"concurrency": 1}, (2, 0, 1)),
        (WORKSTATION, {"concurrency": 4}, (4, 0.5, 4)),
        (WORKSTATION, {"concurrency": 6}, (2, 0.3333, 6)),
        (UNEVEN, {"concurrency": 2}, (3, 0, 2)),
        # Shares asked: as many as fit, node by node.
        (UNEVEN, {"cpus_per_trial": 2}, (2, 0, 2)),
        (LAPTOP, {"cpus_per_trial": 0.5}, (0.5, 0, 4)),
        ([{"CPU": 0.3}], {"cpus_per_trial": 0.1}, (0.1, 0, 3)),
        (WORKSTATION, {"gpus_per_trial": 0.6}, (8, 0.6, 2)),
        (WORKSTATION, {"gpus_per_trial": 2}, (8, 2, 1)),
        (WORKSTATION, {"gpus_per_trial": 0}, (1, 0, 16)),
        (WORKSTATION, {"gpus_per_trial": 0.25, "cpus_per_trial": 4}, (4, 0.25, 4)),
    ],
)
def test_plan_divides_the_nodes(
    nodes: list[dict[str, float]],
    asked: dict[str, Any],
    expected: tuple[float, float, int],
) -> None:
    plan = plan_slots(nodes, **asked)

    assert (plan.resources.cpus, plan.resources.gpus, plan.concurrency) == expected


@pytest.mark.parametrize(
    ("nodes", "asked", "message"),
    [
        (LAPTOP, {"cpus_per_trial": 3}, "a trial must fit on one node, got cpus_per_trial=3"),
        (UNEVEN, {"cpus_per_trial": 4}, "with 2 nodes with 6 CPUs"),
        (LAPTOP, {"gpus_per_trial": 1}, "gpus_per_trial=1 with 2 CPUs"),
        ([], {}, "a trial must fit on one node"),
        (LAPTOP, {"concurrency": 3}, "concurrency must be <= 2, as no more trials of 1 CPU fit"),
        (LAPTOP, {"concurrency": 0}, "concurrency must be >= 1, got concurrency=0"),
        (LAPTOP, {"cpus_per_trial": 0}, "cpus_per_trial must be > 0, got cpus_per_trial=0"),
        (LAPTOP, {"cpus_per_trial": float("nan")}, "cpus_per_trial must be > 0"),
        (WORKSTATION, {"gpus_per_trial": -1}, "gpus_per_trial must be >= 0"),
        (WORKSTATION, {"gpus_per_trial": 1.5}, "gpus_per_trial must be a whole number above 1"),
    ],
)
def test_what_can_never_run_is_refused(
    nodes: list[dict[str, float]], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plan_slots(nodes, **asked)


def test_reason_says_what_was_decided() -> None:
    plan = plan_slots(WORKSTATION, concurrency=4)

    assert plan.reason == "4 trials at a time, 4 CPUs and 0.5 GPU each, on 16 CPUs and 2 GPUs"


def test_bundle_uses_the_names_of_ray() -> None:
    assert TrialResources(2).bundle == {"CPU": 2}
    assert TrialResources(2, 0.5).bundle == {"CPU": 2, "GPU": 0.5}


def test_elastic_cluster_is_asked_for_more_than_it_has() -> None:
    plan = plan_slots([], 2.0, 1.0, 5, is_elastic=True)

    assert plan.concurrency == 5
    assert "as the cluster grows" in plan.reason
    with pytest.raises(ValueError, match="concurrency must be given for an elastic cluster"):
        plan_slots([], 2.0, 1.0, is_elastic=True)
