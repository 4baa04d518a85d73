"""The network of an export: an encoder, perhaps a rotation behind it, built around given weights.

N images, D embedding, d of them behind a rotation, C channels, H and W sides.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from .architecture import Architecture
from .embedding import embed
from .encoders import Encoder, assemble_encoder

PROJECTION = "projection."
"""Before the names of the rotation's tensors among the weights: `mean`, `components`."""

OWN_NETWORKS = frozenset({"conv4", "koch", "resnet12", "hybrid_dilated", "mlp", "conv1d"})
"""Encoders whose sizes are free: they take memory only once the weights prove to be of these
sizes. A model of torchvision or timm has the size that its name says."""


@dataclass(frozen=True)
class Projection:
    """A rotation to fewer dimensions: embeddings less a mean, along the first components.

    Attributes:
        mean: Shape (D,).
        components: Orthonormal rows, shape (d, D).
    """

    mean: Tensor
    components: Tensor

    def apply(self, embeddings: Tensor) -> Tensor:
        """(N, D) to (N, d)."""
        return (embeddings - self.mean) @ self.components.T

    def tensors(self) -> dict[str, Tensor]:
        """The rotation as it stands among the weights of an export."""
        return {PROJECTION + "mean": self.mean, PROJECTION + "components": self.components}


@dataclass(frozen=True, eq=False)
class Network:
    """What an export computes.

    Attributes:
        encoder: In evaluation mode.
        unit_norm: Whether embeddings are scaled to norm 1, before and after the rotation.
        projection: The rotation, where there is one.
    """

    encoder: Encoder
    unit_norm: bool
    projection: Projection | None = None

    def embed(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings, (N, D) or (N, d), of images (N, C, H, W) as the preprocessing gives them.

        Raises:
            ArithmeticError: If one is not finite, which no undamaged network gives.
        """
        images = torch.from_numpy(pixels)
        embeddings = embed(self.encoder, images, unit_norm=self.unit_norm)
        if self.projection is not None:
            embeddings = self.projection.apply(embeddings)
            embeddings = normalize(embeddings, dim=1) if self.unit_norm else embeddings
        if not bool(torch.isfinite(embeddings).all()):
            raise ArithmeticError("embeddings that are not finite")
        found: NDArray[np.float32] = embeddings.cpu().numpy()
        return found

    def to(self, device: torch.device) -> "Network":
        """The network on a device."""
        rotation = self.projection and Projection(
            self.projection.mean.to(device), self.projection.components.to(device)
        )
        return Network(self.encoder.to(device), self.unit_norm, rotation)


def build_network(architecture: Architecture, weights: Mapping[str, Tensor]) -> Network:
    """The network with these weights; nothing else is read or downloaded for it.

    Args:
        architecture: What they are the weights of.
        weights: By name, all of them, those of a rotation too.

    Raises:
        ValueError: If a weight is missing, unknown, of another shape or type, or not finite.
    """
    rotation = {name: value for name, value in weights.items() if name.startswith(PROJECTION)}
    weights = {name: value for name, value in weights.items() if name not in rotation}
    is_own = architecture.encoder["name"] in OWN_NETWORKS
    # On `meta` a tensor has a shape and no memory: sizes that the weights lack cost nothing.
    with torch.random.fork_rng(devices=[]), torch.device("meta") if is_own else nullcontext():
        encoder = assemble_encoder(
            architecture.settings,
            architecture.pool,
            channels=architecture.channels,
            size=architecture.size,
            mean=torch.zeros(architecture.channels),
            std=torch.ones(architecture.channels),
        )
    wanted = {name: (tuple(one.shape), one.dtype) for name, one in encoder.state_dict().items()}
    _require_weights(weights, wanted)
    encoder.load_state_dict(weights, assign=True)
    encoder.to(memory_format=torch.channels_last)
    return Network(
        encoder.eval().requires_grad_(False),
        architecture.unit_norm,
        _projection(architecture, rotation),
    )


def _projection(architecture: Architecture, given: Mapping[str, Tensor]) -> Projection | None:
    if architecture.projected_dim is None:
        _require_weights(given, {})
        return None
    dim = int(architecture.encoder["embedding_dim"])
    shapes = {"mean": (dim,), "components": (architecture.projected_dim, dim)}
    wanted = {PROJECTION + name: (shape, torch.float32) for name, shape in shapes.items()}
    _require_weights(given, wanted)
    return Projection(given[PROJECTION + "mean"], given[PROJECTION + "components"])


def _require_weights(
    given: Mapping[str, Tensor], wanted: Mapping[str, tuple[tuple[int, ...], torch.dtype]]
) -> None:
    for name in sorted(wanted.keys() ^ given.keys()):
        raise ValueError(f"the weights {'lack' if name in wanted else 'hold an unknown'} {name}")
    for name, (shape, kind) in wanted.items():
        require_tensor(name, given[name], shape, kind)


def require_tensor(name: str, value: Tensor, shape: tuple[int, ...], kind: torch.dtype) -> None:
    """Refuse a tensor of another shape or type, or with a number that is not finite.

    Raises:
        ValueError: With the name.
    """
    if tuple(value.shape) != shape or value.dtype != kind:
        raise ValueError(
            f"{name} must be {kind} of shape {shape}, got {value.dtype} {tuple(value.shape)}"
        )
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinity")
