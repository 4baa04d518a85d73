"""The models of timm, an optional library."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from .torchvision_model import without_noise
from .weights import load_weights, read_weights

if TYPE_CHECKING:
    from ...spaces import Timm


def build_timm(config: "Timm", channels: int, size: tuple[int, int]) -> nn.Module:
    """Any model of timm by its name, without its classifier.

    Dropout and drop-path are off, as in `build_torchvision`. timm itself fits pretrained weights
    to other than three channels: it sums them over the colours.

    Raises:
        ValueError: If timm is not installed, has no such model, or none whose pooling can be
            another.
    """
    timm = _import_timm()
    has_own_pool = config.head.pool in (None, "average")
    options = {} if has_own_pool else {"global_pool": ""}
    try:
        network: nn.Module = timm.create_model(
            config.model,
            pretrained=config.weights == "pretrained",
            in_chans=channels,
            num_classes=0,
            **options,
        )
    except RuntimeError as error:
        raise ValueError(
            f"encoder.model must be a model of timm, got {config.model!r}: {error}"
        ) from error
    without_noise(network)
    for layer in network.modules():
        if isinstance(layer, timm.layers.DropPath):
            layer.drop_prob = 0.0
    if Path(config.weights).is_absolute():
        classifier = cast(dict[str, Any], network.pretrained_cfg).get("classifier") or ()
        names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        load_weights(
            network,
            read_weights(Path(config.weights)),
            origin=config.weights,
            dropped=tuple(f"{name}." for name in names),
        )
    if not has_own_pool:
        _require_map(network, config, channels, size)
    return network


def _require_map(network: nn.Module, config: "Timm", channels: int, size: tuple[int, int]) -> None:
    """Refuse tokens (B, N, F) and maps with the features last, which timm has too."""
    with torch.no_grad():
        shape = network.eval()(torch.zeros(1, channels, *size)).shape
    if len(shape) != 4 or shape[1] != network.num_features:
        raise ValueError(
            f"encoder.head.pool must be average with model {config.model}, whose features are no "
            f"map (features, height, width), got {config.head.pool!r}"
        )


def _import_timm() -> ModuleType:
    try:
        import timm
        import timm.layers
    except ImportError as error:
        raise ValueError(
            "encoder.name must be another than timm where the library timm is not installed; "
            "pip install 'tripletune[timm]'"
        ) from error
    return timm
