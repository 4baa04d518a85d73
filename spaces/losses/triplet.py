"""The triplet losses, and what else is fed with triplets."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..distributions import LogUniform, Uniform
from ..facts import Distance, LossFacts, Number
from ..record import Record, broken_rule

SEMI_HARD_MINERS = (
    "semi_hard",
    "semi_hard_or_hardest",
    "semi_hard_random",
    "semi_hard_random_or_any",
    "semi_hard_nearest_or_farthest",
    "random_positive_semi_hard",
)
TRIPLET_MINERS = (
    *SEMI_HARD_MINERS[:1],
    "all",
    "hard",
    "batch_hard",
    "batch_easy",
    "easy_positive_semi_hard",
    "easy_positive_hard",
    "distance_weighted",
    "random",
    *SEMI_HARD_MINERS[1:],
    "random_positive_hard",
    "mixed",
)

TripletMargin = Annotated[float, Field(gt=0.0), Number("distance", LogUniform(0.02, 0.5))]

TripletReduction = Literal["active", "all"]
"""The mean over the triplets above 0, or over all that the miner kept."""


class Triplet(Record):
    """Triplet hinge loss; `reduction` is the mean over the active triplets or over all of them."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="max(0, d_ap - d_an + m)",
        reduction="active or all triplets",
        source="Schroff, Kalenichenko, Philbin 2015: FaceNet, arXiv 1503.03832, equation 3",
        miners=TRIPLET_MINERS,
        distances=("euclidean", "squared_euclidean", "cosine", "dot"),
        takes_memory=True,
    )

    name: Literal["triplet"] = "triplet"
    margin: TripletMargin = 0.2
    distance: Distance = "euclidean"
    unit_norm: bool = True
    reduction: TripletReduction = "active"


class TripletSwap(Record):
    """Triplet hinge loss that takes the negative's distance to anchor or positive, the smaller."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="max(0, d_ap - min(d_an, d_pn) + m)",
        reduction="active or all triplets",
        source="Balntas, Riba, Ponsa, Mikolajczyk 2016: Learning Local Feature Descriptors with "
        "Triplets and Shallow Convolutional Neural Networks (anchor swap)",
        miners=TRIPLET_MINERS,
        distances=("euclidean", "squared_euclidean", "cosine", "dot"),
    )

    name: Literal["triplet_swap"] = "triplet_swap"
    margin: TripletMargin = 0.2
    distance: Distance = "euclidean"
    unit_norm: bool = True
    reduction: TripletReduction = "active"


class SoftTriplet(Record):
    """Triplet loss with a soft margin, for embeddings that are not normalised."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="log(1 + exp(d_ap - d_an))",
        reduction="triplets",
        source="Hermans, Beyer, Leibe 2017: In Defense of the Triplet Loss, arXiv 1703.07737",
        miners=(
            "batch_hard",
            "all",
            "hard",
            "easy",
            "batch_easy",
            "easy_positive_semi_hard",
            "easy_positive_hard",
            "random",
            "random_positive_hard",
            "mixed",
        ),
        distances=("euclidean", "squared_euclidean", "dot"),
        takes_memory=True,
    )

    name: Literal["soft_triplet"] = "soft_triplet"
    distance: Literal["euclidean", "squared_euclidean", "dot"] = "euclidean"
    unit_norm: bool = False


class MarginLoss(Record):
    """Margin loss: positives nearer than a boundary beta, negatives farther, by a margin each.

    Attributes:
        beta: The boundary; where it is learned, its start.
        learn_beta: `no`, one for all (`global`), or one for each class of the anchor (`class`).
        beta_penalty: nu, the weight of the sum of beta, which keeps the boundary small.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="max(0, m + d_ap - beta) + max(0, m - d_an + beta)",
        reduction="active sides of the triplets",
        source="Wu, Manmatha, Smola, Kraehenbuehl 2017: Sampling Matters in Deep Embedding "
        "Learning, arXiv 1706.07567, equation 4",
        miners=("distance_weighted", "all", "random", "batch_hard", "easy_positive_semi_hard"),
        distances=("euclidean", "squared_euclidean", "cosine"),
        takes_memory=True,
    )

    name: Literal["margin"] = "margin"
    margin: TripletMargin = 0.2
    beta: Annotated[float, Field(gt=0.0), Number("distance", Uniform(0.6, 1.3))] = 1.2
    learn_beta: Literal["no", "global", "class"] = "global"
    beta_penalty: Annotated[float, Field(ge=0.0), Number("-", Uniform(0.0, 0.1))] = 0.0
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    unit_norm: bool = True

    @model_validator(mode="after")
    def _boundary_leaves_room_for_positives(self) -> Self:
        if self.margin >= self.beta:
            raise broken_rule(
                "margin",
                "must be < beta, or no positive pair would be near enough",
                f"margin={self.margin!r}, beta={self.beta!r}",
                "lower it, or raise beta",
            )
        return self


class Angular(Record):
    """Angular loss: bounds the angle at the negative of each triplet."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="log(1 + sum_n exp(4 tan^2(a) (u_a + u_p) u_n - 2 (1 + tan^2(a)) u_a u_p))",
        reduction="positive pairs",
        source="Wang, Zhou, Wen, Liu, Lin 2017: Deep Metric Learning with Angular Loss, "
        "arXiv 1708.01682, equation 8, over all positive pairs of a batch",
        measure="inner product of unit vectors",
    )

    name: Literal["angular"] = "angular"
    angle: Annotated[float, Field(gt=0.0, lt=90.0), Number("degrees", Uniform(30.0, 55.0))] = 40.0
