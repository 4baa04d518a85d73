"""The contrastive losses: positive pairs are pulled together, negative ones pushed apart.

Papers and programs mean five things by the name. The two kinds of pairs are averaged apart and the
means added: a batch of P x K holds (P - 1) K / (K - 1) negatives a positive, and one mean would
drown the positives.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..distributions import Uniform
from ..facts import LossFacts, Number
from ..record import Record, broken_rule

PAIR_MINERS = ("all", "distance_weighted", "multi_similarity", "batch_hard", "random")

Margin = Annotated[float, Field(gt=0.0), Number("distance", Uniform(0.2, 1.4))]
"""The distance beyond which a negative pair costs nothing."""

PairReduction = Literal["all", "active"]
"""Of each kind of pairs: the mean over all of them, or over those that cost something."""

_REDUCTION = "all or active pairs, positives and negatives apart"


class Contrastive(Record):
    """Contrastive loss of Hadsell et al.; `margin` is where a negative pair costs nothing."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="positive: d^2 / 2; negative: max(0, m - d)^2 / 2",
        reduction=_REDUCTION,
        source="Hadsell, Chopra, LeCun 2006: Dimensionality Reduction by Learning an Invariant "
        "Mapping, equation 4",
        miners=PAIR_MINERS,
        distances=("euclidean",),
        takes_memory=True,
    )

    name: Literal["contrastive"] = "contrastive"
    margin: Margin = 1.0
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True
    reduction: PairReduction = "all"


class SquaredContrastive(Record):
    """Contrastive loss without the halves: another path than Hadsell's under plain descent."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="positive: d^2; negative: max(0, m - d)^2",
        reduction=_REDUCTION,
        source="Hadsell, Chopra, LeCun 2006 without the factors 1/2, as in many programs",
        miners=PAIR_MINERS,
        distances=("euclidean",),
        takes_memory=True,
    )

    name: Literal["squared_contrastive"] = "squared_contrastive"
    margin: Margin = 1.0
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True
    reduction: PairReduction = "all"


class MixedContrastive(Record):
    """Contrastive loss with a linear hinge: its push does not fade towards the margin."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="positive: d^2 / 2; negative: max(0, m - d)",
        reduction=_REDUCTION,
        source="a reading of Hadsell, Chopra, LeCun 2006 found in course notes",
        miners=PAIR_MINERS,
        distances=("euclidean",),
        takes_memory=True,
    )

    name: Literal["mixed_contrastive"] = "mixed_contrastive"
    margin: Margin = 1.0
    distance: Literal["euclidean"] = "euclidean"
    unit_norm: bool = True
    reduction: PairReduction = "all"


class LinearContrastive(Record):
    """Contrastive loss that is linear in the distance on both sides."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="positive: d; negative: max(0, m - d)",
        reduction=_REDUCTION,
        source="Musgrave, Belongie, Lim 2020: A Metric Learning Reality Check, arXiv 2003.08505, "
        "with a positive margin of 0",
        miners=PAIR_MINERS,
        distances=("euclidean", "squared_euclidean", "cosine"),
        takes_memory=True,
    )

    name: Literal["linear_contrastive"] = "linear_contrastive"
    margin: Margin = 1.0
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    unit_norm: bool = True
    reduction: PairReduction = "all"


class TwoMarginContrastive(Record):
    """Linear contrastive loss with a margin on either side.

    Attributes:
        positive_margin: The distance below which a positive pair costs nothing; below `margin`.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="positive: max(0, d - m_p); negative: max(0, m - d)",
        reduction=_REDUCTION,
        source="Musgrave, Belongie, Lim 2020: A Metric Learning Reality Check, arXiv 2003.08505",
        miners=PAIR_MINERS,
        distances=("euclidean", "squared_euclidean", "cosine"),
        takes_memory=True,
    )

    name: Literal["two_margin_contrastive"] = "two_margin_contrastive"
    margin: Margin = 1.0
    positive_margin: Annotated[float, Field(ge=0.0), Number("distance", Uniform(0.0, 0.3))] = 0.2
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    unit_norm: bool = True
    reduction: PairReduction = "all"

    @model_validator(mode="after")
    def _margins_are_in_order(self) -> Self:
        if self.positive_margin >= self.margin:
            raise broken_rule(
                "positive_margin",
                "must be < margin, so that positives end up nearer than negatives",
                f"positive_margin={self.positive_margin!r}, margin={self.margin!r}",
                "lower it, or raise margin",
            )
        return self
