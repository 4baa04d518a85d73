"""What makes an embedding of a vector of features.

F features, D embedding.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from ...spaces import HeadConfig


def build_linear(config: "HeadConfig", features: int, embedding_dim: int) -> nn.Module:
    """One linear layer, F to D."""
    return nn.Linear(features, embedding_dim)


def build_mlp(config: "HeadConfig", features: int, embedding_dim: int) -> nn.Sequential:
    """Hidden layers with ReLU, each half as wide as the one before, and a linear layer to D.

    With 512 and two layers it is 512-256-D.
    """
    layers: list[nn.Module] = []
    inputs = features
    for place in range(config.layers):
        outputs = config.hidden >> place
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, embedding_dim))


def build_bnneck(config: "HeadConfig", features: int, embedding_dim: int) -> nn.Module:
    """A linear layer without bias, then a batch norm whose shift is frozen at 0.

    Luo et al. 2019, Bag of Tricks and a Strong Baseline for Deep Person Re-identification,
    arXiv 1903.07071, section 3.5. There the triplet loss sees what comes before the norm and the
    identity loss what comes after; a recipe has one loss, which sees what is scored: after it.
    """
    norm = nn.BatchNorm1d(embedding_dim)
    norm.bias.requires_grad_(False)
    return nn.Sequential(nn.Linear(features, embedding_dim, bias=False), norm)


class Residual(nn.Module):
    """Features plus a correction of them, which starts at 0."""

    def __init__(self, correction: nn.Sequential) -> None:
        super().__init__()
        self.correction = correction
        last = correction[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, F)."""
        return features + cast(Tensor, self.correction(features))


def build_residual(config: "HeadConfig", features: int, embedding_dim: int) -> nn.Module:
    """Features plus an MLP of them.

    Raises:
        ValueError: If the embedding has another size than the features.
    """
    if features != embedding_dim:
        raise ValueError(
            f"encoder.embedding_dim must be {features}, the features, with head residual, got "
            f"{embedding_dim}"
        )
    return Residual(build_mlp(config, features, embedding_dim))


HEADS: "dict[str, Callable[[HeadConfig, int, int], nn.Module]]" = {
    "linear": build_linear,
    "mlp": build_mlp,
    "bnneck": build_bnneck,
    "residual": build_residual,
}
