"""The losses that make a positive compete with the rest of the batch."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..distributions import Int, LogUniform
from ..facts import LossFacts, Number
from ..record import Record

Temperature = Annotated[
    float, Field(ge=0.001, le=10.0), Number("similarity", LogUniform(0.01, 0.5))
]
SquaredTemperature = Annotated[
    float, Field(ge=0.001, le=10.0), Number("squared distance", LogUniform(0.02, 1.0))
]


class SupCon(Record):
    """Supervised contrastive loss on cosine similarity."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-mean_p log( exp(s_ip / T) / sum_{k != i} exp(s_ik / T) )",
        reduction="anchors with a positive",
        source="Khosla et al. 2020: Supervised Contrastive Learning, arXiv 2004.11362, equation 2",
        takes_memory=True,
    )

    name: Literal["supcon"] = "supcon"
    temperature: Temperature = 0.1


class NTXent(Record):
    """Normalised temperature-scaled cross entropy on cosine similarity."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(s_ip / T) / (exp(s_ip / T) + sum_n exp(s_in / T)) )",
        reduction="positive pairs",
        source="Chen et al. 2020: SimCLR, arXiv 2002.05709, equation 1, one term a positive pair",
        miners=("none", "easy_positive_semi_hard", "easy_positive_hard"),
        takes_memory=True,
    )

    name: Literal["nt_xent"] = "nt_xent"
    temperature: Temperature = 0.1


class InfoNCE(Record):
    """InfoNCE on inner products: NT-Xent where the norm may speak too."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(e_i e_p / T) / (exp(e_i e_p / T) + sum_n exp(e_i e_n / T)) )",
        reduction="positive pairs",
        source="van den Oord, Li, Vinyals 2018: Representation Learning with Contrastive "
        "Predictive Coding, arXiv 1807.03748, equation 4",
        measure="inner product",
        takes_memory=True,
    )

    name: Literal["info_nce"] = "info_nce"
    temperature: Annotated[
        float, Field(ge=0.001, le=100.0), Number("similarity", LogUniform(0.05, 5.0))
    ] = 1.0
    unit_norm: bool = False


class NPair(Record):
    """Multi-class N-pair loss: of each class one anchor and one positive, drawn at random.

    Attributes:
        norm_penalty: Weight of the mean squared norm of the embeddings, which the inner product
            would let grow.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="log(1 + sum_{c != y} exp(e_a e_c - e_a e_p)), e_c the positive of class c",
        reduction="classes with two items",
        source="Sohn 2016: Improved Deep Metric Learning with Multi-class N-pair Loss Objective, "
        "equations 7 and 9",
        measure="inner product",
    )

    name: Literal["n_pair"] = "n_pair"
    norm_penalty: Annotated[float, Field(ge=0.0), Number("-", LogUniform(1e-4, 1e-1))] = 0.002
    unit_norm: Literal[False] = False


class SoftNearestNeighbor(Record):
    """Soft nearest neighbour loss on the squared distance of unit vectors."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( sum_p exp(-d_ip^2 / T) / sum_{k != i} exp(-d_ik^2 / T) )",
        reduction="anchors with a positive",
        source="Frosst, Papernot, Hinton 2019: Analyzing and Improving Representations with the "
        "Soft Nearest Neighbor Loss, arXiv 1902.01889, definition 1",
        measure="squared distance of unit vectors",
        takes_memory=True,
    )

    name: Literal["soft_nearest_neighbor"] = "soft_nearest_neighbor"
    temperature: SquaredTemperature = 0.2


class NCA(Record):
    """Neighbourhood components analysis of a batch, on embeddings that are not normalised."""

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( sum_p exp(-d_ip^2) / sum_{k != i} exp(-d_ik^2) )",
        reduction="anchors with a positive",
        source="Laenen, Bertinetto 2021: On Episodes, Prototypical Networks, and Few-Shot "
        "Learning, arXiv 2012.09831, equation 3; Goldberger et al. 2004",
        measure="squared distance",
        takes_memory=True,
    )

    name: Literal["nca"] = "nca"
    unit_norm: Literal[False] = False


class Prototypical(Record):
    """Prototypical loss: each batch is an episode, its queries find the mean of their class.

    Attributes:
        shots: Items of each class that make its prototype, drawn at random; the others are
            queries. Fewer than `batch.samples`.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-log( exp(-|e_q - c_y|^2) / sum_c exp(-|e_q - c_c|^2) ), c_c mean of the support",
        reduction="queries",
        source="Snell, Swersky, Zemel 2017: Prototypical Networks for Few-shot Learning, "
        "arXiv 1703.05175, equation 2",
        measure="squared distance",
    )

    name: Literal["prototypical"] = "prototypical"
    shots: Annotated[int, Field(ge=1), Number("-", Int(1, 5))] = 1
    unit_norm: Literal[False] = False


class SigmoidPair(Record):
    """Sigmoid loss over all pairs; temperature and bias are learned from these starts.

    Attributes:
        temperature: Start of 1/t, where t scales the cosine similarity.
        bias: Start of the bias; `auto` is log(p / (1 - p)), p the share of positives of a batch.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="-sum_j log sigmoid(z_ij (s_ij / T + b)), z = +1 same class, -1 otherwise",
        reduction="anchors",
        source="Zhai et al. 2023: Sigmoid Loss for Language Image Pre-Training, "
        "arXiv 2303.15343, equation 1, over all pairs of a batch",
        takes_memory=True,
    )

    name: Literal["sigmoid_pair"] = "sigmoid_pair"
    temperature: Temperature = 0.1
    bias: Literal["auto"] | float = "auto"


class SmoothAP(Record):
    """Smooth average precision: the rank of each positive, with a sigmoid for the step.

    Attributes:
        temperature: Of the sigmoid.
        count_query: Whether the query itself is ranked as one of its positives, as in the
            authors' program; it then always comes first.
    """

    FACTS: ClassVar[LossFacts] = LossFacts(
        formula="1 - mean_p (1 + sum_{q in P} g(s_iq - s_ip)) / (1 + sum_k g(s_ik - s_ip)), "
        "g(x) = 1 / (1 + exp(-x / T))",
        reduction="anchors with a positive",
        takes_memory=True,
        source="Brown, Xie, Kalogeiton, Zisserman 2020: Smooth-AP, arXiv 2007.12163, equation 6",
    )

    name: Literal["smooth_ap"] = "smooth_ap"
    temperature: Temperature = 0.01
    count_query: bool = False
