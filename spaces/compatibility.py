"""What fits with what: losses, their distances and miners, and the units of their numbers.

Plain data, read by the recipe's validation, by ``describe --losses`` and by the docs; a test
proves that it names exactly what the registries of ``trainables/`` hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Distance = Literal["euclidean", "squared_euclidean"]


@dataclass(frozen=True)
class LossFacts:
    """What a loss accepts, and where it comes from.

    Attributes:
        formula: The per-term formula, d a distance, s a cosine similarity.
        source: Authors, year and title of the paper.
        miners: Names of the miners that make sense with it, the usual one first.
        has_distance: Whether the recipe chooses its distance and normalisation; the others are
            defined on cosine similarity or squared distance of unit vectors.
        has_margin: Whether it has a margin, in the unit of its distance.
        has_temperature: Whether it divides its similarities (or distances) by a temperature.
        has_bias: Whether it adds a bias to them.
    """

    formula: str
    source: str
    miners: tuple[str, ...]
    has_distance: bool = False
    has_margin: bool = False
    has_temperature: bool = False
    has_bias: bool = False


@dataclass(frozen=True)
class MinerFacts:
    """What a miner keeps, and what it needs.

    Attributes:
        keeps: The rule, in words.
        source: Authors, year and title of the paper.
        needs_unit_euclidean: Whether its rule holds only for the Euclidean distance of unit
            vectors.
    """

    keeps: str
    source: str
    needs_unit_euclidean: bool = False


LARGEST_UNIT_DISTANCE: Mapping[Distance, float] = MappingProxyType(
    {"euclidean": 2.0, "squared_euclidean": 4.0}
)
"""The distance of two opposite unit vectors: a margin of that size can never be met."""

LOSSES: Mapping[str, LossFacts] = MappingProxyType(
    {
        "contrastive": LossFacts(
            formula="positive: d^2 / 2; negative: max(0, m - d)^2 / 2",
            source="Hadsell, Chopra, LeCun 2006: Dimensionality Reduction by Learning an "
            "Invariant Mapping",
            miners=("all", "distance_weighted"),
            has_distance=True,
            has_margin=True,
        ),
        "triplet": LossFacts(
            formula="max(0, d_ap - d_an + m)",
            source="Schroff, Kalenichenko, Philbin 2015: FaceNet, arXiv 1503.03832",
            miners=(
                "semi_hard",
                "all",
                "batch_hard",
                "easy_positive_semi_hard",
                "distance_weighted",
            ),
            has_distance=True,
            has_margin=True,
        ),
        "soft_triplet": LossFacts(
            formula="log(1 + exp(d_ap - d_an))",
            source="Hermans, Beyer, Leibe 2017: In Defense of the Triplet Loss, arXiv 1703.07737",
            miners=("batch_hard", "all", "easy_positive_semi_hard"),
            has_distance=True,
        ),
        "supcon": LossFacts(
            formula="-mean_p log( exp(s_ip / T) / sum_{k != i} exp(s_ik / T) )",
            source="Khosla et al. 2020: Supervised Contrastive Learning, arXiv 2004.11362",
            miners=("none",),
            has_temperature=True,
        ),
        "nt_xent": LossFacts(
            formula="-log( exp(s_ip / T) / (exp(s_ip / T) + sum_n exp(s_in / T)) )",
            source="Chen et al. 2020: SimCLR, arXiv 2002.05709, one term a positive pair",
            miners=("none", "easy_positive_semi_hard"),
            has_temperature=True,
        ),
        "soft_nearest_neighbor": LossFacts(
            formula="-log( sum_p exp(-d_ip^2 / T) / sum_{k != i} exp(-d_ik^2 / T) )",
            source="Frosst, Papernot, Hinton 2019: Analyzing and Improving Representations with "
            "the Soft Nearest Neighbor Loss, arXiv 1902.01889",
            miners=("none",),
            has_temperature=True,
        ),
        "sigmoid_pair": LossFacts(
            formula="-sum_j log sigmoid(z_ij (s_ij / T + b)), z = +1 same class, -1 otherwise",
            source="Zhai et al. 2023: Sigmoid Loss for Language Image Pre-Training, "
            "arXiv 2303.15343, over all pairs of a batch",
            miners=("none",),
            has_temperature=True,
            has_bias=True,
        ),
    }
)

MINERS: Mapping[str, MinerFacts] = MappingProxyType(
    {
        "none": MinerFacts(keeps="the loss weighs every pair itself", source="-"),
        "all": MinerFacts(
            keeps="every positive pair, every negative; for triplets, each with each",
            source="Hermans, Beyer, Leibe 2017, arXiv 1703.07737 (batch all)",
        ),
        "semi_hard": MinerFacts(
            keeps="every triplet of the band 0 < d_an - d_ap < m; an empty band gives none",
            source="Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832, section 3.2",
        ),
        "batch_hard": MinerFacts(
            keeps="per anchor the farthest positive and the nearest negative",
            source="Hermans, Beyer, Leibe 2017, arXiv 1703.07737, equation 5",
        ),
        "easy_positive_semi_hard": MinerFacts(
            keeps="per anchor the nearest positive and the nearest negative farther than it",
            source="Xuan, Stylianou, Pless 2020: Improved Embeddings with Easy Positive Triplet "
            "Mining, arXiv 1904.04370",
        ),
        "distance_weighted": MinerFacts(
            keeps="per positive pair one negative, drawn with probability ~ 1 / q(d)",
            source="Wu et al. 2017: Sampling Matters in Deep Embedding Learning, arXiv 1706.07567",
            needs_unit_euclidean=True,
        ),
    }
)
