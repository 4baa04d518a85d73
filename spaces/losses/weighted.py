"""The losses that weigh each pair by how hard it is within its anchor's pairs."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..distributions import LogUniform, Uniform
from ..facts import LossFacts, Number
from ..record import Record, broken_rule

Scale = Annotated[float, Field(gt=0.0, le=1000.0), Number("1/similarity", LogUniform(1.0, 100.0))]
Threshold = Annotated[float, Field(ge=-1.0, le=1.0), Number("similarity", Uniform(0.3, 0.8))]


class MultiSimilarity(Record):
    """Multi-similarity loss.

    Attributes:
        alpha: Sharpness of the weights of positive pairs.
        beta: Sharpness of the weights of negative pairs.
        threshold: lambda, the similarity that divides near from far.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="log(1 + sum_p exp(-a (s_ip - l))) / a + log(1 + sum_n exp(b (s_in - l))) / b",
        reduction="anchors",
        source="Wang, Han, Huang, Dong, Scott 2019: Multi-Similarity Loss with General Pair "
        "Weighting for Deep Metric Learning, arXiv 1904.06627, equation 15",
        miners=("multi_similarity", "none"),
        takes_memory=True,
    )

    name: Literal["multi_similarity"] = "multi_similarity"
    alpha: Scale = 2.0
    beta: Scale = 50.0
    threshold: Threshold = 0.5


class Circle(Record):
    """Circle loss; `relaxation` is m, which sets both optima and both margins."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="log(1 + sum_n exp(g a_n (s_n - m)) sum_p exp(-g a_p (s_p - 1 + m))), "
        "a_p = max(0, 1 + m - s_p), a_n = max(0, s_n + m), both constants",
        reduction="anchors with a positive and a negative",
        source="Sun et al. 2020: Circle Loss, arXiv 2002.10857, equations 4 to 8",
        takes_memory=True,
    )

    name: Literal["circle"] = "circle"
    relaxation: Annotated[
        float, Field(gt=0.0, lt=1.0), Number("similarity", Uniform(0.1, 0.5))
    ] = 0.4
    scale: Annotated[
        float, Field(gt=0.0, le=1000.0), Number("1/similarity", LogUniform(16.0, 256.0))
    ] = 80.0


class LiftedStructure(Record):
    """Lifted structured loss: each positive pair against all negatives of its two items."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="max(0, log(sum_n exp(m - d_in) + sum_n exp(m - d_pn)) + d_ip)^2 / 2",
        reduction="positive pairs that have a negative",
        source="Oh Song, Xiang, Jegelka, Savarese 2016: Deep Metric Learning via Lifted "
        "Structured Feature Embedding, arXiv 1511.06452, equation 4",
        distances=("euclidean",),
    )

    name: Literal["lifted_structure"] = "lifted_structure"
    margin: Annotated[float, Field(gt=0.0), Number("distance", Uniform(0.2, 1.5))] = 1.0
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True


class RankedList(Record):
    """Ranked list loss: positives within a ball, negatives beyond a larger one.

    Attributes:
        boundary: alpha, the distance that negatives must keep.
        margin: m; positives must come within `boundary - margin`.
        positive_temperature: T_p of the weights exp(T_p d) of positives; 0 weighs them alike.
        negative_temperature: T_n of the weights exp(-T_n d) of negatives.
        negative_share: lambda, the weight of the negatives' side, against 1 - lambda.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="(1 - l) sum_p w_p max(0, d - a + m) / sum_p w_p + "
        "l sum_n w_n max(0, a - d) / sum_n w_n, over the pairs above 0, the weights constants",
        reduction="anchors",
        source="Wang, Hua, Kodirov, Hu, Garnier, Robertson 2019: Ranked List Loss for Deep Metric "
        "Learning, arXiv 1903.03238, equations 4 to 7",
        distances=("euclidean",),
        takes_memory=True,
    )

    name: Literal["ranked_list"] = "ranked_list"
    boundary: Annotated[float, Field(gt=0.0), Number("distance", Uniform(0.9, 1.4))] = 1.2
    margin: Annotated[float, Field(gt=0.0), Number("distance", Uniform(0.2, 0.8))] = 0.4
    positive_temperature: Annotated[
        float, Field(ge=0.0, le=100.0), Number("-", Uniform(0.0, 10.0))
    ] = 0.0
    negative_temperature: Annotated[
        float, Field(ge=0.0, le=100.0), Number("-", Uniform(0.0, 20.0))
    ] = 10.0
    negative_share: Annotated[float, Field(gt=0.0, lt=1.0), Number("share", Uniform(0.2, 0.8))] = (
        0.5
    )
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True

    @model_validator(mode="after")
    def _positives_have_a_ball(self) -> Self:
        if self.margin >= self.boundary:
            raise broken_rule(
                "margin",
                "must be < boundary, or the ball of the positives would be empty",
                f"margin={self.margin!r}, boundary={self.boundary!r}",
                "lower it, or raise boundary",
            )
        return self
