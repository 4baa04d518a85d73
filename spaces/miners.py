"""What a recipe says of its miner: which triplets or pairs of a batch the loss sees."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .facts import MinerFacts
from .record import Record, broken_rule

MinerName = Literal[
    "none",
    "all",
    "hard",
    "semi_hard",
    "easy",
    "batch_hard",
    "batch_easy",
    "easy_positive_hard",
    "easy_positive_semi_hard",
    "semi_hard_or_hardest",
    "semi_hard_random",
    "semi_hard_random_or_any",
    "semi_hard_nearest_or_farthest",
    "distance_weighted",
    "multi_similarity",
    "random",
    "random_positive_hard",
    "random_positive_semi_hard",
    "mixed",
]

_HERMANS = "Hermans, Beyer, Leibe 2017, arXiv 1703.07737"
_FACENET = "Schroff, Kalenichenko, Philbin 2015: FaceNet, arXiv 1503.03832, section 3.2"
_EASY = "Xuan, Stylianou, Pless 2020: Improved Embeddings with Easy Positive Triplet Mining, "
_MUSHROOMS = "the miners of a recogniser of mushrooms for an open world"

MINERS: Mapping[str, MinerFacts] = MappingProxyType(
    {
        "none": MinerFacts(keeps="the loss weighs every pair itself", source="-", kind="rule"),
        "all": MinerFacts(
            keeps="every positive pair, every negative; for triplets, each with each",
            source=f"{_HERMANS} (batch all)",
            kind="rule",
        ),
        "hard": MinerFacts(
            keeps="every triplet whose negative is not farther than its positive",
            source=_FACENET,
            kind="rule",
        ),
        "semi_hard": MinerFacts(
            keeps="every triplet of the band 0 < d_an - d_ap < m; an empty band gives none",
            source=_FACENET,
            kind="rule",
            needs_margin=True,
        ),
        "easy": MinerFacts(
            keeps="every triplet whose negative is farther than its positive, beyond the margin "
            "where the loss has one",
            source="pytorch-metric-learning, TripletMarginMiner (easy)",
            kind="rule",
        ),
        "batch_hard": MinerFacts(
            keeps="per anchor the farthest positive and the nearest negative",
            source=f"{_HERMANS}, equation 5; 'hard negative-positive' of {_MUSHROOMS}",
            takes_bank=True,
        ),
        "batch_easy": MinerFacts(
            keeps="per anchor the nearest positive and the farthest negative (easy positive, "
            "easy negative)",
            source=f"{_EASY}arXiv 1904.04370, section 3",
        ),
        "easy_positive_hard": MinerFacts(
            keeps="per anchor the nearest positive and the nearest negative",
            source=f"{_EASY}arXiv 1904.04370, section 3",
        ),
        "easy_positive_semi_hard": MinerFacts(
            keeps="per anchor the nearest positive and the nearest negative farther than it",
            source=f"{_EASY}arXiv 1904.04370, section 3",
        ),
        "semi_hard_or_hardest": MinerFacts(
            keeps="per positive pair the nearest negative of the band, else the nearest of all",
            source=f"{_FACENET}, with the hardest available where the band is empty",
            needs_margin=True,
            kind="positive",
        ),
        "semi_hard_random": MinerFacts(
            keeps="per positive pair a random negative of the band, else none",
            source="the program siamese-triplet (SemihardNegativeTripletSelector)",
            needs_margin=True,
            kind="positive",
        ),
        "semi_hard_random_or_any": MinerFacts(
            keeps="per positive pair a random negative of the band, else any random negative",
            source="Roth et al. 2020: Revisiting Training Strategies in Deep Metric Learning, "
            "arXiv 2002.08473 (program)",
            needs_margin=True,
            kind="positive",
        ),
        "semi_hard_nearest_or_farthest": MinerFacts(
            keeps="per positive pair the nearest negative farther than it, else the farthest",
            source="the programs TensorFlow Addons and sentence-transformers (semi-hard triplet)",
            kind="positive",
        ),
        "distance_weighted": MinerFacts(
            keeps="per positive pair one negative, drawn with probability ~ 1 / q(d)",
            source="Wu et al. 2017: Sampling Matters in Deep Embedding Learning, arXiv 1706.07567",
            needs_unit_euclidean=True,
            kind="positive",
        ),
        "multi_similarity": MinerFacts(
            keeps="positives less similar than the nearest negative + epsilon, negatives more "
            "similar than the farthest positive - epsilon",
            source="Wang et al. 2019: Multi-Similarity Loss, arXiv 1904.06627, equations 11, 12",
            kind="pairs",
        ),
        "random": MinerFacts(
            keeps="per anchor a random positive and a random negative",
            source=f"the baseline of {_MUSHROOMS}",
            takes_bank=True,
        ),
        "random_positive_hard": MinerFacts(
            keeps="per anchor a random positive and the nearest negative",
            source=f"'hard negative' of {_MUSHROOMS}",
            takes_bank=True,
        ),
        "random_positive_semi_hard": MinerFacts(
            keeps="per anchor a random positive and a random negative with "
            "d_ap <= d_an < d_ap + m, else any random negative",
            source=f"'semi-hard' of {_MUSHROOMS}",
            needs_margin=True,
            takes_bank=True,
        ),
        "mixed": MinerFacts(
            keeps="per anchor a random positive and the negative nearest to that positive",
            source=f"'mixed' of {_MUSHROOMS}",
            takes_bank=True,
        ),
    }
)

_EPSILON, _REFRESH = 0.1, 100


class MinerConfig(Record):
    """What the loss sees; a miner shares the loss's distance and margin.

    Attributes:
        epsilon: How far beyond the other kind's extreme `multi_similarity` reaches, a cosine.
        scope: `batch` chooses among the items of a batch; `bank` chooses positives and negatives
            for a third of a batch's images among all training images, by embeddings that are
            computed anew every `refresh` steps.
        refresh: Steps between two computations of the bank.
    """

    name: MinerName = "none"
    epsilon: Annotated[float, Field(ge=0.0, le=2.0)] = _EPSILON
    scope: Literal["batch", "bank"] = "batch"
    refresh: Annotated[int, Field(ge=1)] = _REFRESH

    @model_validator(mode="after")
    def _epsilon_is_read(self) -> Self:
        if self.epsilon != _EPSILON and self.name != "multi_similarity":
            raise broken_rule(
                "epsilon",
                "counts only with miner multi_similarity",
                f"name={self.name}, epsilon={self.epsilon!r}",
                "remove it, or write name: multi_similarity",
            )
        return self

    @model_validator(mode="after")
    def _bank_is_searched(self) -> Self:
        if self.scope == "bank" and not MINERS[self.name].takes_bank:
            able = ", ".join(name for name, facts in MINERS.items() if facts.takes_bank)
            raise broken_rule(
                "scope",
                f"must be batch with miner {self.name}",
                "'bank'",
                f"write batch, or one of the miners {able}",
            )
        if self.refresh != _REFRESH and self.scope == "batch":
            raise broken_rule(
                "refresh",
                "counts only with scope: bank",
                f"scope=batch, refresh={self.refresh}",
                "remove it, or write scope: bank",
            )
        return self
