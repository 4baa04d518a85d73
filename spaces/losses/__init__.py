"""What a recipe says of its loss: one record a loss, with its row of the compatibility table."""

from typing import Annotated

from pydantic import Field

from .contrastive import (
    Contrastive,
    LinearContrastive,
    MixedContrastive,
    SquaredContrastive,
    TwoMarginContrastive,
)
from .proxy import ArcFace, CosFace, NormalizedSoftmax, ProxyAnchor, ProxyNCA
from .softmax import (
    NCA,
    InfoNCE,
    NPair,
    NTXent,
    Prototypical,
    SigmoidPair,
    SmoothAP,
    SoftNearestNeighbor,
    SupCon,
)
from .triplet import Angular, MarginLoss, SoftTriplet, Triplet, TripletSwap
from .weighted import Circle, LiftedStructure, MultiSimilarity, RankedList

LossConfig = Annotated[
    Contrastive
    | SquaredContrastive
    | MixedContrastive
    | LinearContrastive
    | TwoMarginContrastive
    | Triplet
    | TripletSwap
    | SoftTriplet
    | MarginLoss
    | Angular
    | SupCon
    | NTXent
    | InfoNCE
    | NPair
    | SoftNearestNeighbor
    | NCA
    | Prototypical
    | SigmoidPair
    | SmoothAP
    | MultiSimilarity
    | Circle
    | LiftedStructure
    | RankedList
    | ProxyNCA
    | ProxyAnchor
    | NormalizedSoftmax
    | CosFace
    | ArcFace,
    Field(discriminator="name"),
]
"""A new loss joins the table with its record and a line here."""

__all__ = [
    "NCA",
    "Angular",
    "ArcFace",
    "Circle",
    "Contrastive",
    "CosFace",
    "InfoNCE",
    "LiftedStructure",
    "LinearContrastive",
    "LossConfig",
    "MarginLoss",
    "MixedContrastive",
    "MultiSimilarity",
    "NPair",
    "NTXent",
    "NormalizedSoftmax",
    "Prototypical",
    "ProxyAnchor",
    "ProxyNCA",
    "RankedList",
    "SigmoidPair",
    "SmoothAP",
    "SoftNearestNeighbor",
    "SoftTriplet",
    "SquaredContrastive",
    "SupCon",
    "Triplet",
    "TripletSwap",
    "TwoMarginContrastive",
]
