"""What a trial lowers: the loss, the miner that chooses what it sees, and what is added."""

from typing import Annotated, Any, Self, cast

from pydantic import Field, model_validator

from .compatibility import LOSSES, MINERS, numbers_of
from .facts import LARGEST_UNIT_GAP
from .losses import LossConfig, SoftTriplet
from .miners import MinerConfig, MinerName
from .record import Record, broken_rule

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class VarianceConfig(Record):
    """A term against collapse: the hinge on each dimension's standard deviation of VICReg.

    Attributes:
        weight: Of the term; 0 leaves it out.
        target: Standard deviation that every dimension should have at least; on unit vectors it is
            counted in units of 1/sqrt(D), in which isotropic embeddings have 1.
    """

    weight: Annotated[float, Field(ge=0.0)] = 0.0
    target: Annotated[float, Field(gt=0.0)] = 1.0


class MemoryConfig(Record):
    """Cross-batch memory: embeddings of earlier batches that the anchors are compared with too.

    Attributes:
        size: How many are kept, at least a batch; 0 leaves the memory out.
        start: Share of the budget after which it is used: embeddings must drift slowly.
    """

    size: Annotated[int, Field(ge=0)] = 0
    start: Share = 0.0


class ScheduleConfig(Record):
    """How the miner and the margin change during training; nothing by default.

    Attributes:
        second_miner: Miner from the share `second_from` of the budget on.
        second_from: Share of the budget.
        third_miner: Miner from the share `third_from` on.
        third_from: Share of the budget, larger than `second_from`.
        final_margin: The margin moves from the loss's to this one, linearly over the budget.
    """

    second_miner: MinerName | None = None
    second_from: Share = 0.33
    third_miner: MinerName | None = None
    third_from: Share = 0.67
    final_margin: Annotated[float, Field(gt=0.0)] | None = None

    @model_validator(mode="after")
    def _phases_are_in_order(self) -> Self:
        if self.third_miner is not None and self.second_miner is None:
            raise broken_rule(
                "third_miner",
                "must come after a second_miner",
                f"{self.third_miner!r}, second_miner=null",
                "write second_miner instead",
            )
        if self.third_miner is not None and self.third_from <= self.second_from:
            raise broken_rule(
                "third_from",
                "must be > second_from",
                f"third_from={self.third_from!r}, second_from={self.second_from!r}",
                "raise it",
            )
        return self


def _usual_miner(validated: dict[str, Any]) -> MinerConfig:
    loss: LossConfig = validated["loss"]
    return MinerConfig(name=cast(MinerName, LOSSES[loss.name].miners[0]))


class ObjectiveConfig(Record):
    """The loss and the miner that chooses what it sees.

    Attributes:
        miner: Left out, it is the usual miner of the loss: the first that its facts name.
        schedule: How miner and margin change during training.
        memory: Embeddings of earlier batches to compare with.
        variance: A term against collapse.
    """

    loss: LossConfig
    miner: MinerConfig = Field(default_factory=_usual_miner)
    schedule: ScheduleConfig = ScheduleConfig()
    memory: MemoryConfig = MemoryConfig()
    variance: VarianceConfig = VarianceConfig()

    @model_validator(mode="after")
    def _miners_are_heard(self) -> Self:
        allowed = LOSSES[self.loss.name].miners
        rule = allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"
        for at, name in self._miners_at().items():
            if name not in allowed:
                raise broken_rule(
                    at,
                    f"must be {rule} with loss {self.loss.name}",
                    f"{name!r}",
                    f"write {allowed[0]}",
                )
        return self

    @model_validator(mode="after")
    def _soft_margin_is_off_the_sphere(self) -> Self:
        if isinstance(self.loss, SoftTriplet) and self.loss.unit_norm:
            raise broken_rule(
                "loss.unit_norm",
                "must be false with loss soft_triplet, whose gradient fades on unit vectors",
                "true",
                "write unit_norm: false, or loss triplet with a margin",
            )
        return self

    @model_validator(mode="after")
    def _cosine_has_no_norm(self) -> Self:
        if getattr(self.loss, "distance", None) == "cosine" and not self.unit_norm:
            raise broken_rule(
                "loss.unit_norm",
                "must be true with distance: cosine, which does not see the norm",
                "false",
                "write unit_norm: true, or another distance",
            )
        return self

    @model_validator(mode="after")
    def _margins_can_be_met(self) -> Self:
        distance = getattr(self.loss, "distance", None)
        if distance is None or not self.unit_norm:
            return self
        largest = LARGEST_UNIT_GAP[distance]
        numbers = numbers_of(type(self.loss))
        margins = {
            f"loss.{key}": getattr(self.loss, key)
            for key, number in numbers.items()
            if number.unit == "distance"
        }
        if self.schedule.final_margin is not None:
            margins["schedule.final_margin"] = self.schedule.final_margin
        for at, value in margins.items():
            if value >= largest:
                raise broken_rule(
                    at,
                    f"must be < {largest:g} on unit vectors, where no {distance} distance is "
                    "larger",
                    f"{value!r}",
                    f"stay below {largest:g}, or write unit_norm: false",
                )
        return self

    @model_validator(mode="after")
    def _margin_to_schedule_exists(self) -> Self:
        number = numbers_of(type(self.loss)).get("margin")
        has_margin = number is not None and number.unit == "distance"
        if self.schedule.final_margin is not None and not has_margin:
            raise broken_rule(
                "schedule.final_margin",
                f"counts only with a loss that has a margin of distances, not {self.loss.name}",
                f"{self.schedule.final_margin!r}",
                "remove it",
            )
        return self

    @model_validator(mode="after")
    def _miners_know_the_sphere(self) -> Self:
        distance = getattr(self.loss, "distance", None)
        if distance is None:
            return self
        for at, miner in self._miners_at().items():
            is_at_home = self.unit_norm and distance == "euclidean"
            if MINERS[miner].needs_unit_euclidean and not is_at_home:
                raise broken_rule(
                    at,
                    f"must not be {miner} without unit_norm: true and distance: euclidean, since "
                    "its density is that of distances on the unit sphere",
                    f"unit_norm={str(self.unit_norm).lower()}, distance={distance}",
                    "write those two, or another miner",
                )
        return self

    @model_validator(mode="after")
    def _bank_stays(self) -> Self:
        if self.miner.scope == "bank" and self.schedule.second_miner is not None:
            raise broken_rule(
                "schedule.second_miner",
                "must be null with miner.scope: bank",
                f"{self.schedule.second_miner!r}",
                "remove it, or write scope: batch",
            )
        return self

    @model_validator(mode="after")
    def _memory_is_compared_with(self) -> Self:
        if self.memory.size == 0:
            return self
        if not LOSSES[self.loss.name].takes_memory:
            able = ", ".join(name for name, facts in LOSSES.items() if facts.takes_memory)
            raise broken_rule(
                "memory.size",
                f"must be 0 with loss {self.loss.name}, which compares a batch with itself only",
                f"{self.memory.size}",
                f"write 0, or one of the losses {able}",
            )
        if self.miner.scope == "bank":
            raise broken_rule(
                "memory.size",
                "must be 0 with miner.scope: bank, which sees all training images already",
                f"{self.memory.size}",
                "write 0, or scope: batch",
            )
        if "mixed" in self.miners:
            raise broken_rule(
                "memory.size",
                "must be 0 with miner mixed, which needs the distances between references",
                f"{self.memory.size}",
                "write 0, or another miner",
            )
        return self

    @property
    def unit_norm(self) -> bool:
        """Whether embeddings are scaled to norm 1: always, unless the loss has that choice."""
        return bool(getattr(self.loss, "unit_norm", True))

    @property
    def miners(self) -> tuple[MinerName, ...]:
        """The miners of all phases, in order."""
        return tuple(self._miners_at().values())

    def _miners_at(self) -> dict[str, MinerName]:
        """The miner of each phase by the place of its name."""
        second, third = self.schedule.second_miner, self.schedule.third_miner
        found: dict[str, MinerName] = {"miner.name": self.miner.name}
        if second is not None:
            found["schedule.second_miner"] = second
        if third is not None:
            found["schedule.third_miner"] = third
        return found
