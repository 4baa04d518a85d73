"""What a trial lowers: the loss, and the miner that chooses what it sees."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from .compatibility import LARGEST_UNIT_DISTANCE, LOSSES, MINERS, Distance
from .record import Record, broken_rule

Temperature = Annotated[float, Field(ge=0.001, le=10.0)]


class Contrastive(Record):
    """Contrastive loss; `margin` is the distance beyond which a negative pair costs nothing."""

    name: Literal["contrastive"] = "contrastive"
    margin: Annotated[float, Field(gt=0.0)] = 1.0
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True


class Triplet(Record):
    """Triplet hinge loss; `reduction` is the mean over the active triplets or over all of them."""

    name: Literal["triplet"] = "triplet"
    margin: Annotated[float, Field(gt=0.0)] = 0.2
    distance: Distance = "euclidean"
    unit_norm: bool = True
    reduction: Literal["active", "all"] = "active"


class SoftTriplet(Record):
    """Triplet loss with a soft margin, for embeddings that are not normalised."""

    name: Literal["soft_triplet"] = "soft_triplet"
    distance: Distance = "euclidean"
    unit_norm: bool = False


class SupCon(Record):
    """Supervised contrastive loss on cosine similarity."""

    name: Literal["supcon"] = "supcon"
    temperature: Temperature = 0.1


class NTXent(Record):
    """Normalised temperature-scaled cross entropy on cosine similarity."""

    name: Literal["nt_xent"] = "nt_xent"
    temperature: Temperature = 0.1


class SoftNearestNeighbor(Record):
    """Soft nearest neighbour loss on the squared distance of unit vectors."""

    name: Literal["soft_nearest_neighbor"] = "soft_nearest_neighbor"
    temperature: Temperature = 0.2


class SigmoidPair(Record):
    """Sigmoid loss over all pairs; temperature and bias are learned from these starts.

    Attributes:
        temperature: Start of 1/t, where t scales the cosine similarity.
        bias: Start of the bias; `auto` is log(p / (1 - p)), p the share of positives of a batch.
    """

    name: Literal["sigmoid_pair"] = "sigmoid_pair"
    temperature: Temperature = 0.1
    bias: Literal["auto"] | float = "auto"


LossConfig = Annotated[
    Contrastive | Triplet | SoftTriplet | SupCon | NTXent | SoftNearestNeighbor | SigmoidPair,
    Field(discriminator="name"),
]

MinerName = Literal[
    "none", "all", "semi_hard", "batch_hard", "easy_positive_semi_hard", "distance_weighted"
]


class MinerConfig(Record):
    """What of a batch the loss sees; a miner shares the loss's distance and margin."""

    name: MinerName = "none"


def _usual_miner(validated: dict[str, Any]) -> MinerConfig:
    loss: LossConfig = validated["loss"]
    return MinerConfig(name=cast(MinerName, LOSSES[loss.name].miners[0]))


class ObjectiveConfig(Record):
    """The loss and the miner that chooses what it sees.

    Attributes:
        miner: Left out, it is the usual miner of the loss: the first that its facts name.
    """

    loss: LossConfig
    miner: MinerConfig = Field(default_factory=_usual_miner)

    @model_validator(mode="after")
    def _miner_is_heard(self) -> Self:
        allowed = LOSSES[self.loss.name].miners
        if self.miner.name not in allowed:
            rule = allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"
            raise broken_rule(
                "miner.name",
                f"must be {rule} with loss {self.loss.name}",
                f"{self.miner.name!r}",
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
    def _margin_can_be_met(self) -> Self:
        loss = self.loss
        if isinstance(loss, Contrastive | Triplet) and loss.unit_norm:
            largest = LARGEST_UNIT_DISTANCE[loss.distance]
            if loss.margin >= largest:
                raise broken_rule(
                    "loss.margin",
                    f"must be < {largest:g} on unit vectors, where no {loss.distance} distance is "
                    "larger",
                    f"{loss.margin!r}",
                    f"stay below {largest:g}, or write unit_norm: false",
                )
        return self

    @model_validator(mode="after")
    def _miner_knows_the_sphere(self) -> Self:
        loss, miner = self.loss, self.miner.name
        if not (MINERS[miner].needs_unit_euclidean and isinstance(loss, Contrastive | Triplet)):
            return self
        if not loss.unit_norm or loss.distance != "euclidean":
            raise broken_rule(
                "miner.name",
                f"must not be {miner} without unit_norm: true and distance: euclidean, since "
                "its density is that of distances on the unit sphere",
                f"unit_norm={str(loss.unit_norm).lower()}, distance={loss.distance}",
                "write those two, or another miner",
            )
        return self

    @property
    def unit_norm(self) -> bool:
        """Whether embeddings are scaled to norm 1: always, unless the loss has that choice."""
        loss = self.loss
        return loss.unit_norm if isinstance(loss, Contrastive | Triplet | SoftTriplet) else True
