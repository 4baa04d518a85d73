"""The classification models of torchvision without their classifiers.

B batch, C channels, F features.
"""

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from .weights import COLORS, load_weights, read_weights

if TYPE_CHECKING:
    from ...spaces import ResNet18, Torchvision

_POSITIONS = "encoder.pos_embedding"

CLASSES = 1000
"""Of ImageNet: outputs of the layer that is taken away."""


class FlatMap(nn.Module):
    """A model that flattens its map, F x h x w, made to give it as (B, F, h * w, 1)."""

    def __init__(self, network: nn.Module, features: int) -> None:
        super().__init__()
        self.network = network
        self._features = features

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, F, h * w, 1); where each position lies does not matter to a pool."""
        flat: Tensor = self.network(images)  # (B, F * h * w)
        return flat.view(len(flat), self._features, -1, 1)


def build_resnet18(config: "ResNet18", channels: int, size: tuple[int, int]) -> nn.Module:
    """ResNet-18. He et al. 2016, arXiv 1512.03385."""
    return _build("resnet18", config, channels, size)


def build_torchvision(config: "Torchvision", channels: int, size: tuple[int, int]) -> nn.Module:
    """Any classification model by its name.

    Its last layer becomes the head's place. Dropout and stochastic depth are off: they would draw
    from the process's own generator, and a resumed trial would not repeat the interrupted one.
    With other than three channels, the first convolution is a new one.
    """
    return _build(config.model, config, channels, size)


def _build(
    model: str, config: "ResNet18 | Torchvision", channels: int, size: tuple[int, int]
) -> nn.Module:
    # torchvision takes a second or two to import, which Conv4 trials need not pay.
    from torchvision.models import get_model

    try:
        network: nn.Module = get_model(model, weights=None, **_options(model, size))
    except (AssertionError, ValueError) as error:
        raise ValueError(f"image_size must suit the model {model}, got {size}: {error}") from error
    without_noise(network)
    features, classifier = _remove_classifier(network)
    if channels != COLORS:
        _take_channels(network, channels)
    if config.weights != "none":
        # The auxiliary classifiers of the Inception models are not built.
        dropped = (f"{classifier}.", "aux1.", "aux2.", "AuxLogits.")
        state, origin = _weights(model, config.weights, size)
        load_weights(network, state, origin=origin, dropped=dropped)
    if config.head.pool in (None, "average"):
        return network
    return _with_map(network, model, features)


def _options(model: str, size: tuple[int, int]) -> dict[str, Any]:
    """What a model must be told that is made for one size, or has classifiers on its way."""
    if model.startswith("vit_"):
        if size[0] != size[1]:
            raise ValueError("it takes square images")
        return {"image_size": size[0]}
    if model.startswith("maxvit"):
        return {"input_size": size}
    if model in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    return {}


def without_noise(network: nn.Module) -> None:
    """Switch off dropout and stochastic depth."""
    from torchvision.ops import StochasticDepth

    for layer in network.modules():
        if isinstance(layer, nn.Dropout | StochasticDepth):
            layer.p = 0.0


def _remove_classifier(network: nn.Module) -> tuple[int, str]:
    """Put an identity in the place of the last layer; returns its inputs and its name."""
    found: tuple[int, str] | None = None
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear) and layer.out_features == CLASSES:
            found = layer.in_features, name
        elif isinstance(layer, nn.Conv2d) and layer.out_channels == CLASSES:
            found = layer.in_channels, name
    assert found is not None, "every model of torchvision has a classifier of ImageNet's classes"
    network.set_submodule(found[1], nn.Identity())
    return found


def _take_channels(network: nn.Module, channels: int) -> None:
    """A new first convolution for images that have not three channels."""
    name, first = next(
        (name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)
    )
    convolution = nn.Conv2d(
        channels,
        first.out_channels,
        cast(tuple[int, int], first.kernel_size),
        stride=cast(tuple[int, int], first.stride),
        padding=first.padding if isinstance(first.padding, str) else first.padding[0],
        bias=first.bias is not None,
    )
    network.set_submodule(name, convolution)


def _weights(model: str, weights: str, size: tuple[int, int]) -> tuple[dict[str, Tensor], str]:
    """The state dict that the recipe names, and its name for messages."""
    from torchvision.models import get_model_weights
    from torchvision.models.vision_transformer import interpolate_embeddings

    if Path(weights).is_absolute():
        state, origin = read_weights(Path(weights)), weights
    else:
        known = get_model_weights(model)
        name = known.DEFAULT.name if weights == "imagenet" else weights
        if name not in known.__members__:
            names = ", ".join(one.name for one in known)
            raise ValueError(
                f"encoder.weights must be one of {names} with model {model}, got {weights!r}"
            )
        state, origin = dict(known[name].get_state_dict(progress=False)), name
    if model.startswith("vit_") and {"conv_proj.weight", _POSITIONS} <= state.keys():
        patch = state["conv_proj.weight"].shape[-1]
        return dict(interpolate_embeddings(size[0], patch, OrderedDict(state))), origin
    return state, origin


def _with_map(network: nn.Module, model: str, features: int) -> nn.Module:
    """The network without its own pooling.

    Raises:
        ValueError: If it has none to take away, or layers between it and the end.
    """
    pool = getattr(network, "avgpool", None)
    is_global = isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size in (1, (1, 1))
    if not is_global or model.startswith("mobilenet_v3"):
        raise ValueError(
            f"encoder.head.pool must be average with model {model}, whose own pooling cannot be "
            "taken away"
        )
    network.avgpool = nn.Identity()
    return FlatMap(network, features)
