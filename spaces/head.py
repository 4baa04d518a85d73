"""What a recipe says of the head: how the features of a backbone become the embedding."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .distributions import Int
from .facts import Number, Pool
from .record import Record, broken_rule

_HIDDEN, _LAYERS = 512, 2


class HeadConfig(Record):
    """What turns the features of a backbone into the embedding.

    Attributes:
        name: `linear` is one layer. `mlp` has hidden layers with ReLU before it. `bnneck` is a
            linear layer without bias and a batch norm without shift (Luo et al. 2019, Bag of
            Tricks and a Strong Baseline for Deep Person Re-identification, arXiv 1903.07071; here
            loss and score both see what comes out of the norm). `residual` adds an MLP to the
            features, of whose size the embedding is; it starts as the identity.
        hidden: Width of the first hidden layer of `mlp` and `residual`; each further one is half
            as wide.
        layers: How many hidden layers these have; 512 and 2 make the head 512-256-D.
        pool: What makes a vector of a map of features; null is the usual one of the encoder.
            `gem` is the generalised mean with a learned exponent (Radenovic et al. 2018,
            arXiv 1711.02512); features below 0 count as 0 there.
    """

    name: Literal["linear", "mlp", "bnneck", "residual"] = "linear"
    hidden: Annotated[int, Field(ge=2, le=8192), Number("-", Int(128, 1024))] = _HIDDEN
    layers: Annotated[int, Field(ge=1, le=8), Number("-", Int(1, 3))] = _LAYERS
    pool: Pool | None = None

    @model_validator(mode="after")
    def _hidden_layers_exist(self) -> Self:
        for at, value, usual in (
            ("hidden", self.hidden, _HIDDEN),
            ("layers", self.layers, _LAYERS),
        ):
            if self.name not in ("mlp", "residual") and value != usual:
                raise broken_rule(
                    at,
                    "counts only with the heads mlp and residual",
                    f"name={self.name}, {at}={value}",
                    "remove it, or write name: mlp",
                )
        if self.hidden >> (self.layers - 1) < 2:
            raise broken_rule(
                "hidden",
                "must be at least 2 after layers - 1 halvings",
                f"hidden={self.hidden}, layers={self.layers}",
                f"write {2 << (self.layers - 1)} or more, or fewer layers",
            )
        return self
