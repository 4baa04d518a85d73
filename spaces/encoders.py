"""What a recipe says of its encoder: one record an encoder, with its row of the table."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from .distributions import Int
from .facts import EncoderFacts, Number
from .head import HeadConfig
from .record import Record, broken_rule
from .torchvision_models import TorchvisionModel

EmbeddingDim = Annotated[int, Field(ge=2, le=4096), Number("-", Int(32, 256))]
Width = Annotated[int, Field(ge=4, le=1024), Number("-", Int(16, 64))]
Train = Literal["all", "head", "last_k"]
LastBlocks = Annotated[int, Field(ge=1)] | None

WEIGHT_FILES = (".safetensors", ".pt", ".pth")
_ENUM_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_KOCH_PADDED = 16


class Conv4(Record):
    """Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling.

    Attributes:
        width: Channels of the first block.
        growth: Each block is this many times as wide as the one before. The few-shot papers have
            1; with 2, narrow first blocks (where the pixels are) pay for wide last ones.
        pool: Where the pooling stands: `last` as in the few-shot papers, or right after the
            convolution (`first`), which normalises a quarter of the values and trains faster.
        head: Behind the flattened map.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="4 x (3x3 convolution, batch norm, ReLU, 2x2 max-pooling)",
        source="Vinyals et al. 2016: Matching Networks for One Shot Learning, arXiv 1606.04080, "
        "section 4.1",
        minimum=16,
        pools=("flatten", "average", "gem", "max"),
    )

    name: Literal["conv4"] = "conv4"
    width: Width = 64
    growth: Annotated[int, Field(ge=1, le=4), Number("-", Int(1, 2))] = 1
    pool: Literal["last", "first"] = "last"
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Koch(Record):
    """The convolutions of the first deep siamese network for one-shot learning.

    The paper's layer of 4096 sigmoids before its L1 distance is left to the head: `head: {name:
    mlp, hidden: 4096, layers: 1}` comes nearest.

    Attributes:
        width: Channels of the first convolution, 64 in the paper; the others have 2, 2 and 4
            times as many.
        padding: `none` as in the paper, for images of at least 65 pixels; `half` pads each
            convolution by half its kernel, which suits small images.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="convolutions 10x10, 7x7, 4x4, 4x4 of 64, 128, 128, 256 channels with ReLU, 2x2 "
        f"max-pooling after the first three; from {_KOCH_PADDED} pixels with padding: half",
        source="Koch, Zemel, Salakhutdinov 2015: Siamese Neural Networks for One-shot Image "
        "Recognition, figure 4",
        minimum=65,
        pools=("flatten", "average", "gem", "max"),
    )

    name: Literal["koch"] = "koch"
    width: Width = 64
    padding: Literal["none", "half"] = "none"
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class ResNet12(Record):
    """The ResNet-12 of the few-shot papers: four residual blocks of three convolutions.

    Attributes:
        width: Channels of the first block, 64 in the papers.
        widths: `wide` blocks have 1, 2.5, 5 and 10 times that (64-160-320-640), `doubling` ones
            1, 2, 4 and 8 times (64-128-256-512).
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="4 x (3 x (3x3 convolution, batch norm, leaky ReLU 0.1), 1x1 shortcut, 2x2 "
        "max-pooling); no drop-block",
        source="Lee et al. 2019: Meta-Learning with Differentiable Convex Optimization, "
        "arXiv 1904.03758 (wide); Oreshkin, Rodriguez, Lacoste 2018: TADAM, arXiv 1805.10123",
        minimum=16,
        pools=("average", "gem", "max", "flatten"),
    )

    name: Literal["resnet12"] = "resnet12"
    width: Width = 64
    widths: Literal["wide", "doubling"] = "wide"
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class HybridDilated(Record):
    """Three 3x3 convolutions dilated 1, 2 and 5, then layers of 1024, 512 and 128.

    Attributes:
        width: Channels of the first convolution; the others have 2 and 4 times as many.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="3 x (3x3 convolution dilated 1, 2, 5, batch norm, ReLU), mean over a 4x4 grid, "
        "1024-512-128 with ReLU",
        source="Wang et al. 2018: Understanding Convolution for Semantic Segmentation, "
        "arXiv 1702.08502 (the dilations); the program cleggct/siamese_net (the layers)",
        minimum=4,
    )

    name: Literal["hybrid_dilated"] = "hybrid_dilated"
    width: Width = 32
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Autoencoder(Record):
    """Half of a convolutional autoencoder, trained first, without labels, then frozen.

    The task `corrector` trains it; the head is then trained on its latent vectors.

    Attributes:
        width: Channels of the first convolution; the others have 2, 4 and 8 times as many.
        latent: Values of the latent vector.
        variational: Whether it is a VAE, whose mean is the latent vector.
        pretraining_steps: Updates of the reconstruction.
        train: The head alone.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="4 x (3x3 convolution of stride 2, batch norm, ReLU), linear to the latent vector",
        source="the program Berack96/upo-AIContrastive; Kingma, Welling 2013: Auto-Encoding "
        "Variational Bayes, arXiv 1312.6114 (variational)",
        minimum=16,
    )

    name: Literal["autoencoder"] = "autoencoder"
    width: Width = 32
    latent: Annotated[int, Field(ge=2, le=4096), Number("-", Int(32, 256))] = 128
    variational: bool = False
    pretraining_steps: Annotated[int, Field(ge=1)] = 500
    train: Literal["head"] = "head"
    embedding_dim: EmbeddingDim = 128
    head: HeadConfig = HeadConfig()


class Identity(Record):
    """No network: the items are vectors of features already; the head alone is trained.

    Attributes:
        train: The head alone.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="none: the vector itself", source="-", takes="anything"
    )

    name: Literal["identity"] = "identity"
    train: Literal["head"] = "head"
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Mlp(Record):
    """A multilayer perceptron on flattened input.

    Attributes:
        hidden: Width of each hidden layer.
        layers: How many there are.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="layers x (linear, batch norm, ReLU); a vector of F numbers is an image of (1, F)",
        source="-",
        takes="anything",
    )

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[int, Field(ge=2, le=8192), Number("-", Int(64, 1024))] = 256
    layers: Annotated[int, Field(ge=1, le=8), Number("-", Int(1, 3))] = 2
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Conv1d(Record):
    """Three convolutions along a series, pooled over its whole length.

    Attributes:
        width: Channels of the first and the last convolution; the middle one has twice as many.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="convolutions of length 8, 5, 3 and 128, 256, 128 channels, batch norm, ReLU",
        source="Wang, Yan, Oates 2017: Time Series Classification from Scratch with Deep Neural "
        "Networks, arXiv 1611.06455 (FCN)",
        minimum=8,
        takes="series",
        pools=("average", "gem", "max"),
    )

    name: Literal["conv1d"] = "conv1d"
    width: Width = 128
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class ResNet18(Record):
    """torchvision's ResNet-18; `torchvision` has all its models, and the same keys.

    Attributes:
        weights: As in `torchvision`.
        train: As in `torchvision`.
        last_blocks: As in `torchvision`.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="ResNet-18 without its classifier; its blocks: stem, layer1, ..., layer4",
        source="He et al. 2016: Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        pools=("average", "gem", "max"),
    )

    name: Literal["resnet18"] = "resnet18"
    weights: str = "none"
    train: Train = "all"
    last_blocks: LastBlocks = None
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Torchvision(Record):
    """A classification model of torchvision without its classifier.

    Attributes:
        model: Its name there.
        weights: `none` starts from random weights; `imagenet` from torchvision's default ones, or
            a name of their enum such as IMAGENET1K_V1, downloaded at their first use; or the
            absolute path of a state dict, .safetensors, or .pt and .pth, which are read without
            running any code.
        train: `all` weights; the `head` alone, whose backbone is then run once an image; or
            `last_k` blocks of the backbone and the head. Frozen batch norms keep their statistics.
        last_blocks: How many blocks `last_k` trains, counted from the end.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="the model without its last layer, any number of channels; dropout and stochastic "
        "depth are off",
        source="torchvision, models.get_model",
        pools=("average", "gem", "max"),
    )

    name: Literal["torchvision"] = "torchvision"
    model: TorchvisionModel
    weights: str = "none"
    train: Train = "all"
    last_blocks: LastBlocks = None
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


class Timm(Record):
    """A model of timm without its classifier; install it by `pip install tripletune[timm]`.

    Attributes:
        model: Its name there, such as `resnet18.a1_in1k`.
        weights: `none`, `pretrained` (those that timm has for the name, downloaded at their first
            use), or the absolute path of a state dict as in `torchvision`.
        train: As in `torchvision`.
        last_blocks: As in `torchvision`.
    """

    FACTS: ClassVar[EncoderFacts] = EncoderFacts(
        layers="the model without its classifier; dropout and drop-path are off",
        source="Wightman 2019: PyTorch Image Models, timm.create_model",
        pools=("average", "gem", "max"),
    )

    name: Literal["timm"] = "timm"
    model: Annotated[str, Field(min_length=1)]
    weights: str = "none"
    train: Train = "all"
    last_blocks: LastBlocks = None
    embedding_dim: EmbeddingDim = 64
    head: HeadConfig = HeadConfig()


Pretrained = ResNet18 | Torchvision | Timm
"""The encoders that may start from weights of others, and may be frozen."""

AnyEncoder = (
    Conv4 | Koch | ResNet12 | HybridDilated | Autoencoder | Identity | Mlp | Conv1d | Pretrained
)


def _conv4_unless_named(value: object) -> object:
    return {"name": "conv4", **value} if isinstance(value, dict) and "name" not in value else value


def _require_what_fits(config: AnyEncoder) -> AnyEncoder:
    """The rules that all encoders have in common."""
    pool, pools = config.head.pool, config.FACTS.pools
    if pool is not None and pool not in pools:
        raise broken_rule(
            "head.pool",
            f"must be one of {', '.join(pools)} with encoder {config.name}"
            if pools
            else f"must be null with encoder {config.name}, whose features are no map",
            f"{pool!r}",
            "remove it",
        )
    if isinstance(config, Pretrained):
        _require_weights(config)
        _require_training(config)
    return config


def _require_weights(config: Pretrained) -> None:
    weights = config.weights
    is_named = (
        weights in ("none", "pretrained")
        if isinstance(config, Timm)
        else weights in ("none", "imagenet") or _ENUM_NAME.fullmatch(weights) is not None
    )
    if is_named:
        return
    if not weights.endswith(WEIGHT_FILES):
        named = (
            "none, pretrained"
            if isinstance(config, Timm)
            else "none, imagenet, a name of torchvision's enum such as IMAGENET1K_V1"
        )
        raise broken_rule(
            "weights",
            f"must be {named}, or the path of a file {', '.join(WEIGHT_FILES)}",
            f"{weights!r}",
            "write one of these",
        )
    if not Path(weights).is_absolute():
        raise broken_rule(
            "weights",
            "must be an absolute path, since trials run in folders of their own",
            f"{weights!r}",
            "write the whole path",
        )


def _require_training(config: Pretrained) -> None:
    if config.train == "last_k" and config.last_blocks is None:
        raise broken_rule(
            "last_blocks",
            "must be given with train: last_k",
            "null",
            "write last_blocks: 1 or more",
        )
    if config.train != "last_k" and config.last_blocks is not None:
        raise broken_rule(
            "last_blocks",
            "counts only with train: last_k",
            f"train={config.train}, last_blocks={config.last_blocks}",
            "remove it, or write train: last_k",
        )


EncoderConfig = Annotated[
    AnyEncoder,
    Field(discriminator="name"),
    BeforeValidator(_conv4_unless_named),
    AfterValidator(_require_what_fits),
]
"""A new encoder joins the table with its record and its place in `AnyEncoder`."""

ENCODER_RECORDS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {record.model_fields["name"].default: record for record in get_args(AnyEncoder)}
)
"""The record of each encoder."""

ENCODERS: Mapping[str, EncoderFacts] = MappingProxyType(
    {name: vars(record)["FACTS"] for name, record in ENCODER_RECORDS.items()}
)


def minimum_size(config: AnyEncoder) -> int:
    """Smallest side of an image, or length of a series, that the encoder takes."""
    is_padded = isinstance(config, Koch) and config.padding == "half"
    return _KOCH_PADDED if is_padded else config.FACTS.minimum


def is_frozen(config: AnyEncoder) -> bool:
    """Whether the head alone is trained."""
    return isinstance(config, Pretrained | Autoencoder | Identity) and config.train == "head"


def from_scratch(config: AnyEncoder) -> AnyEncoder:
    """The same encoder with random weights: nothing is read or downloaded for it."""
    is_pretrained = isinstance(config, Pretrained)
    return config.model_copy(update={"weights": "none"}) if is_pretrained else config
