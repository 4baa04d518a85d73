"""What is known of losses, miners and encoders besides their code: the columns of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from .distributions import Distribution

Distance = Literal["euclidean", "squared_euclidean", "cosine", "dot"]
"""`cosine` is 1 - s; `dot` is the negative inner product, which may be below 0."""

Unit = Literal[
    "distance", "similarity", "squared distance", "degrees", "1/similarity", "share", "-"
]

LARGEST_UNIT_GAP: Mapping[Distance, float] = MappingProxyType(
    {"euclidean": 2.0, "squared_euclidean": 4.0, "cosine": 2.0, "dot": 2.0}
)
"""The largest gap between two distances of unit vectors: a margin of that size is never met."""


@dataclass(frozen=True)
class Number:
    """What a number of a loss is measured in, and where a search of it usually starts.

    Attributes:
        unit: `distance` is that of the loss's own distance; a margin in it is bounded on unit
            vectors.
        usual: Range of a first search.
    """

    unit: Unit
    usual: Distribution


@dataclass(frozen=True)
class LossFacts:
    """What a loss goes with, and where it comes from.

    Attributes:
        formula: The per-term formula; d a distance, s a cosine similarity, e an embedding.
        reduction: What the value is a mean over.
        source: Authors, year and title of the paper.
        miners: Names of the miners that make sense with it, the usual one first.
        distances: Those that the recipe may choose from, the usual one first; empty where the
            formula fixes it.
        measure: What it is defined on where `distances` is empty.
        has_proxies: Whether it learns a vector for each training class.
        takes_memory: Whether the embeddings of earlier batches can join its batch.
    """

    formula: str
    reduction: str
    source: str
    miners: tuple[str, ...] = ("none",)
    distances: tuple[Distance, ...] = ()
    measure: str = "cosine"
    has_proxies: bool = False
    takes_memory: bool = False


MinerKind = Literal["rule", "anchor", "positive", "pairs"]


@dataclass(frozen=True)
class MinerFacts:
    """What a miner keeps, and what it needs.

    Attributes:
        keeps: The rule, in words.
        source: Authors, year and title of the paper, or the program that uses the name so.
        kind: `rule` keeps every triplet that passes a test, `anchor` chooses one triplet for each
            anchor, `positive` one for each positive of an anchor, `pairs` keeps pairs.
        needs_margin: Whether its rule reads the margin of the loss.
        needs_unit_euclidean: Whether its rule holds only for the Euclidean distance of unit
            vectors.
        takes_bank: Whether it can choose among all training images, by an embedding bank.
    """

    keeps: str
    source: str
    kind: MinerKind = "anchor"
    needs_margin: bool = False
    needs_unit_euclidean: bool = False
    takes_bank: bool = False


Pool = Literal["flatten", "average", "gem", "max"]
"""What turns a map of features into one vector."""


@dataclass(frozen=True)
class EncoderFacts:
    """What an encoder is made of, and what it takes.

    Attributes:
        layers: The backbone, in words; the head comes behind it.
        source: Authors, year and title of the paper, or the program.
        minimum: Smallest side of an image, or length of a series; a torchvision or timm model may
            need more, which building it tells.
        takes: `images` of any square size from `minimum`, `series` of shape (channels, 1, length),
            or `anything`, since it is flattened.
        pools: What may make a vector of its map, the usual one first; empty where there is no map.
    """

    layers: str
    source: str
    minimum: int = 1
    takes: Literal["images", "series", "anything"] = "images"
    pools: tuple[Pool, ...] = ()
