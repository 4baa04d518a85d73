"""The registry of backbones, and how an encoder is put together.

C channels, F features, D embedding.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .autoencoder import build_autoencoder
from .conv1d import build_conv1d
from .conv4 import build_conv4
from .encoder import Encoder
from .freezing import freeze
from .heads import HEADS
from .hybrid_dilated import build_hybrid_dilated
from .identity import build_identity
from .koch import build_koch
from .mlp import build_mlp
from .pooling import POOLS
from .resnet12 import build_resnet12
from .timm_model import build_timm
from .torchvision_model import build_resnet18, build_torchvision

if TYPE_CHECKING:
    from ...spaces import AnyEncoder, Pool

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "conv4": build_conv4,
    "koch": build_koch,
    "resnet12": build_resnet12,
    "hybrid_dilated": build_hybrid_dilated,
    "autoencoder": build_autoencoder,
    "identity": build_identity,
    "mlp": build_mlp,
    "conv1d": build_conv1d,
    "resnet18": build_resnet18,
    "torchvision": build_torchvision,
    "timm": build_timm,
}
"""Name to what builds the backbone from its record, the channels and the (height, width): images
to a map of features (B, F, h, w), or to vectors (B, F) where the model pools by itself."""


def build_encoder(
    config: "AnyEncoder",
    *,
    channels: int,
    image_size: int | tuple[int, int],
    mean: Tensor,
    std: Tensor,
    seed: int,
) -> Encoder:
    """An encoder with weights drawn from `seed`, or read, in channels-last layout.

    Args:
        config: Which one, and its sizes.
        channels: C of the images.
        image_size: Side of square images, or (height, width), pixels: a series of length L has
            (1, L), and so has a vector.
        mean: Per channel, of the training images in [0, 1], shape (C,).
        std: Likewise.
        seed: Of the random weights; the generator of the process is left as it was.

    Returns:
        The encoder, on the CPU, in training mode.

    Raises:
        ValueError: If the images do not suit the encoder, or its weights do not fit it, or its
            library is not installed.
        FileNotFoundError: If the file of its weights does not exist.
    """
    # Here, so that an exported model is loaded without the libraries of recipes.
    from ...spaces import Autoencoder, Pretrained

    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    _require_size(config, size)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        encoder = assemble_encoder(
            config, default_pool(config), channels=channels, size=size, mean=mean, std=std
        )
    if isinstance(config, Pretrained | Autoencoder):
        freeze(encoder.backbone, config)
    return encoder.to(memory_format=torch.channels_last).train()


def default_pool(config: "AnyEncoder") -> "Pool":
    """What makes a vector of the map: as the recipe says, else the encoder's usual pooling."""
    pools = config.FACTS.pools
    return config.head.pool or (pools[0] if pools else "average")


def assemble_encoder(
    config: "AnyEncoder",
    pool: "Pool",
    *,
    channels: int,
    size: tuple[int, int],
    mean: Tensor,
    std: Tensor,
) -> Encoder:
    """The parts of an encoder put together, with weights as PyTorch draws them.

    Args:
        config: Which one, and its sizes; only values are read, so that an export's plain data do.
        pool: What makes a vector of a map; of no meaning where the backbone makes none.
        channels: C of the images.
        size: Their (height, width), pixels.
        mean: Per channel, of the training images in [0, 1], shape (C,).
        std: Likewise.

    Raises:
        ValueError: If the images do not suit the encoder, or its library is not installed.
    """
    backbone = ENCODERS[config.name](config, channels, size)
    shape = _features_of(backbone, config, torch.zeros(1, channels, *size))
    is_map = len(shape) == 4
    features = shape[1]
    if is_map and pool == "flatten":
        features *= shape[2] * shape[3]
    head = HEADS[config.head.name](config.head, features, config.embedding_dim)
    return Encoder(backbone, POOLS[pool]() if is_map else nn.Identity(), head, mean, std)


def _require_size(config: "AnyEncoder", size: tuple[int, int]) -> None:
    from ...spaces import minimum_size

    minimum, takes = minimum_size(config), config.FACTS.takes
    height, width = size
    if takes == "series":
        if height != 1 or width < minimum:
            raise ValueError(
                f"a series must be of shape (channels, 1, length) with length >= {minimum} for "
                f"encoder {config.name}, got height {height} and length {width}"
            )
    elif min(size) < minimum:
        got = f"{height}" if height == width else f"{height} x {width}"
        raise ValueError(
            f"image_size must be >= {minimum} with encoder {config.name}, got image_size={got}"
        )


@torch.no_grad()
def _features_of(backbone: nn.Module, config: "AnyEncoder", image: Tensor) -> torch.Size:
    """Shape of what a backbone makes of one image.

    Raises:
        ValueError: If the image does not suit it.
    """
    backbone.eval()
    try:
        features: Tensor = backbone(image)
    except (RuntimeError, AssertionError, ValueError) as error:
        name = getattr(config, "model", config.name)
        raise ValueError(
            f"image_size must suit the model {name}, got {tuple(image.shape[2:])}: {error}"
        ) from error
    return features.shape
