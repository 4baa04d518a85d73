"""Room for trials on a cluster whose nodes come and go."""

from types import SimpleNamespace

from tripletune.cluster import plan_slots
from tripletune.search.room import LOOK_S, PATIENCE_S, REPEAT_S, Room, WaitingNotice

ONE = {"CPU": 2.0, "GPU": 1.0}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_joined_nodes_are_used_and_left_ones_are_not_queued_for() -> None:
    nodes, clock = [ONE], Clock()
    room = Room(lambda: nodes, plan_slots(nodes), is_fixed=False, clock=clock)
    assert room() == 1

    nodes += [ONE, ONE]
    assert room() == 1  # looked at a moment ago
    clock.now += LOOK_S
    assert room() == 3

    nodes.clear()
    clock.now += LOOK_S
    assert room() == 1


def test_number_of_the_user_stays() -> None:
    clock = Clock()
    nodes = [ONE, ONE]
    room = Room(lambda: [], plan_slots(nodes, concurrency=2), is_fixed=True, clock=clock)
    clock.now += 10 * LOOK_S

    assert room() == 2


def waiting(statuses: list[str]) -> list[SimpleNamespace]:
    return [SimpleNamespace(status=status) for status in statuses]


def test_it_is_said_once_what_is_waited_for_and_when_it_came() -> None:
    said: list[str] = []
    clock = Clock()
    plan = plan_slots([], 1.0, 1.0, 2, is_elastic=True)
    notice = WaitingNotice(said.append, lambda: [{"CPU": 2.0}], plan, clock=clock)

    for now in (0.0, PATIENCE_S - 1, PATIENCE_S, PATIENCE_S + 1):
        clock.now = now
        notice.on_step_begin(0, waiting(["PENDING", "PENDING", "TERMINATED"]))
    (line,) = said
    assert line == (
        "2 trials wait for 1 CPU and 1 GPU each; no node can hold one until the cluster grows: it "
        "has 2 CPUs"
    )

    clock.now += REPEAT_S
    notice.on_step_begin(0, waiting(["PENDING"]))
    assert len(said) == 2
    notice.on_step_begin(0, waiting(["RUNNING", "PENDING"]))
    assert said[2:] == ["there is room again"]


def test_trials_that_run_are_waited_for_in_silence() -> None:
    said: list[str] = []
    clock = Clock()
    notice = WaitingNotice(said.append, lambda: [ONE], plan_slots([ONE]), clock=clock)

    for _ in range(3):
        clock.now += 10 * PATIENCE_S
        notice.on_step_begin(0, waiting(["RUNNING", "PENDING"]))

    assert said == []
