"""How many trials have room on a cluster whose nodes come and go, and what is waited for."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune import Callback

from ..cluster import SlotPlan, count_slots, describe_nodes

LOOK_S = 5.0
"""How often the nodes are counted, seconds."""

PATIENCE_S = 30.0
"""So long nothing may run before it is said why."""

REPEAT_S = 600.0
"""How often that is said again."""

Nodes = Callable[[], Sequence[Mapping[str, float]]]


class Room:
    """How many trials may be under way now.

    With a number from the user it is that. Else it is what fits: nodes that join are used, and
    after others have left, no new trials queue for them.
    """

    def __init__(
        self,
        nodes: Nodes,
        plan: SlotPlan,
        *,
        is_fixed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a plan.

        Args:
            nodes: Resources of the living nodes.
            plan: As it was at the start.
            is_fixed: Whether its number stays, whatever comes and goes.
            clock: Seconds; tests give their own.
        """
        self._nodes, self._plan, self._clock = nodes, plan, clock
        self._is_fixed = is_fixed
        self._slots = plan.concurrency
        self._next_look = clock() + LOOK_S

    def __call__(self) -> int:
        """At least 1: one that waits shows what is missing."""
        if not self._is_fixed and self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_S
            self._slots = max(1, count_slots(self._nodes(), self._plan.resources))
        return self._slots


class WaitingNotice(Callback):
    """Says what a search waits for when none of its trials has room."""

    def __init__(
        self,
        say: Callable[[str], None],
        nodes: Nodes,
        plan: SlotPlan,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch.

        Args:
            say: Told the line.
            nodes: Resources of the living nodes.
            plan: Of the search.
            clock: Seconds; tests give their own.
        """
        self._say, self._nodes, self._plan, self._clock = say, nodes, plan, clock
        self._since: float | None = None
        self._said = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given into its own files."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look at what runs and what waits."""
        states = [trial.status for trial in trials]
        waiting = states.count("PENDING")
        now = self._clock()
        if "RUNNING" in states or not waiting:
            if self._said:
                self._say("there is room again")
            self._since, self._said = None, False
            return
        self._since = now if self._since is None else self._since
        if now - self._since < (REPEAT_S if self._said else PATIENCE_S):
            return
        self._since, self._said = now, True
        nodes = list(self._nodes())
        fit = count_slots(nodes, self._plan.resources)
        why = (
            f"no node can hold one until the cluster grows: it has {describe_nodes(nodes)}"
            if fit == 0
            else f"{describe_nodes(nodes)} are there, and in use by others or just starting"
        )
        many = "1 trial waits" if waiting == 1 else f"{waiting} trials wait"
        self._say(f"{many} for {self._plan.resources} each; {why}")
