"""Every encoder: the contract, over the registry."""

from itertools import pairwise
from typing import Final, get_args

import pytest
import torch
from torch import nn

from tripletune.spaces import (
    ENCODER_RECORDS,
    AnyEncoder,
    Autoencoder,
    Conv1d,
    Conv4,
    HeadConfig,
    HybridDilated,
    Identity,
    Koch,
    Mlp,
    Pretrained,
    ResNet12,
    ResNet18,
    Timm,
    Torchvision,
    minimum_size,
)
from tripletune.spaces.torchvision_models import TorchvisionModel
from tripletune.trainables import ENCODERS, Encoder, build_encoder

MODEL: Final = "shufflenet_v2_x0_5"
TINY_TIMM = "test_resnet.r160_in1k"

CONFIGS: dict[str, AnyEncoder] = {
    "conv4": Conv4(width=8, embedding_dim=12),
    "koch": Koch(width=8, padding="half", embedding_dim=12),
    "resnet12": ResNet12(width=8, embedding_dim=12),
    "hybrid_dilated": HybridDilated(width=4, embedding_dim=12),
    "autoencoder": Autoencoder(width=4, latent=16, embedding_dim=12),
    "identity": Identity(embedding_dim=12),
    "mlp": Mlp(hidden=16, embedding_dim=12),
    "conv1d": Conv1d(width=8, embedding_dim=12),
    "resnet18": ResNet18(embedding_dim=12),
    "torchvision": Torchvision(model=MODEL, embedding_dim=12),
    "timm": Timm(model=TINY_TIMM, embedding_dim=12),
}
SIZES = (32, 35, 65)


def size_for(name: str, size: int) -> int | tuple[int, int]:
    return (1, size) if CONFIGS[name].FACTS.takes == "series" else size


def build(
    config: AnyEncoder,
    *,
    channels: int = 1,
    image_size: int | tuple[int, int] = 35,
    seed: int = 0,
) -> Encoder:
    return build_encoder(
        config,
        channels=channels,
        image_size=image_size,
        mean=torch.full((channels,), 0.2),
        std=torch.full((channels,), 0.4),
        seed=seed,
    )


def named(name: str, *, size: int = 35, channels: int = 1, seed: int = 0) -> Encoder:
    if name == "timm":
        pytest.importorskip("timm")
    return build(CONFIGS[name], channels=channels, image_size=size_for(name, size), seed=seed)


def images_for(name: str, count: int, *, size: int = 35, channels: int = 1) -> torch.Tensor:
    height = 1 if CONFIGS[name].FACTS.takes == "series" else size
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, channels, height, size, generator=generator)


def test_every_encoder_has_its_row_here_and_its_record() -> None:
    assert set(CONFIGS) == set(ENCODERS) == set(ENCODER_RECORDS)
    assert all(type(config) is ENCODER_RECORDS[name] for name, config in CONFIGS.items())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_encoder_gives_finite_embeddings_of_the_asked_size(name: str, channels: int) -> None:
    for size in SIZES:
        encoder = named(name, size=size, channels=channels)
        embeddings = encoder(images_for(name, 3, size=size, channels=channels))
        assert embeddings.shape == (3, 12)
        assert torch.isfinite(embeddings).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_seed_gives_the_same_weights_and_leaves_the_process_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, second, other = named(name), named(name), named(name, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    states = [encoder.state_dict() for encoder in (first, second, other)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_trained_weight_gets_a_gradient(name: str) -> None:
    encoder = named(name)
    embeddings = encoder(images_for(name, 4))
    (embeddings * torch.arange(1.0, 13.0)).square().sum().backward()
    for key, parameter in encoder.named_parameters():
        if not parameter.requires_grad:  # an autoencoder is frozen once its task has trained it
            continue
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", CONFIGS)
def test_the_embedding_of_an_image_does_not_depend_on_its_batch(name: str) -> None:
    encoder = named(name).eval()
    images = images_for(name, 5)
    with torch.inference_mode():
        alone, together = encoder(images[:1]), encoder(images)
    torch.testing.assert_close(alone, together[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_and_evaluating_twice_gives_the_same(name: str) -> None:
    """Nothing in an encoder draws: a resumed trial repeats the interrupted one."""
    images = images_for(name, 4)
    encoder = named(name)
    for is_training in (True, False):
        encoder.train(is_training)
        with torch.no_grad():
            assert torch.equal(encoder(images), encoder(images))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_state_dict_makes_another_encoder_the_same(name: str) -> None:
    trained, other = named(name), named(name, seed=1)
    images = images_for(name, 4)
    trained(images)  # moves the statistics of batch norms
    other.load_state_dict(trained.state_dict())
    with torch.inference_mode():
        assert torch.equal(trained.eval()(images), other.eval()(images))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_smallest_size_is_taken_and_the_next_smaller_one_is_refused(name: str) -> None:
    config = CONFIGS[name]
    minimum = minimum_size(config)
    if not isinstance(config, Pretrained):  # theirs is that of the model
        assert named(name, size=minimum)(images_for(name, 2, size=minimum)).shape == (2, 12)
    with pytest.raises(ValueError, match=rf">= {minimum} .*encoder {name}, got .*{minimum - 1}"):
        named(name, size=minimum - 1)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("head", ["linear", "mlp", "bnneck"])
def test_every_encoder_takes_every_head(name: str, head: str) -> None:
    if name == "timm":
        pytest.importorskip("timm")
    config = CONFIGS[name].model_copy(update={"head": HeadConfig.model_validate({"name": head})})
    encoder = build(config, image_size=size_for(name, 32))
    embeddings = encoder(images_for(name, 4, size=32))
    assert embeddings.shape == (4, 12)
    embeddings.square().sum().backward()
    for key, parameter in encoder.head.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), key


POOLED = [
    (name, pool)
    for name, config in CONFIGS.items()
    if name != "torchvision"  # its model here hides its map; resnet18 goes the same way
    for pool in config.FACTS.pools
]


@pytest.mark.parametrize(("name", "pool"), POOLED)
def test_an_encoder_takes_the_pools_that_its_facts_name(name: str, pool: str) -> None:
    if name == "timm":
        pytest.importorskip("timm")
    config = CONFIGS[name].model_copy(update={"head": HeadConfig.model_validate({"pool": pool})})
    encoder = build(config, image_size=size_for(name, 64))
    embeddings = encoder(images_for(name, 2, size=64))
    assert embeddings.shape == (2, 12)
    assert ("pool.log_p" in encoder.state_dict()) == (pool == "gem")


def test_images_are_normalised_by_the_statistics_of_the_training_data() -> None:
    encoder = named("conv4").eval()
    plain = named("conv4").eval()
    plain.mean.zero_()
    plain.std.fill_(1.0)
    images = torch.rand(2, 1, 35, 35)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), plain((images - 0.2) / 0.4))


def test_a_constant_channel_is_only_centred() -> None:
    encoder = build_encoder(
        CONFIGS["conv4"],
        channels=1,
        image_size=16,
        mean=torch.tensor([0.5]),
        std=torch.tensor([0.0]),
        seed=0,
    )
    assert encoder.std.item() == 1.0


def test_conv4_draws_the_weights_that_it_always_drew() -> None:
    """As one sequence with its linear head, as every score so far was measured."""
    torch.manual_seed(5)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([1, 4, 8, 16, 32]):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    before = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4, 64))
    now = build(Conv4(width=4, growth=2), seed=5)
    for old, new in zip(before.parameters(), now.parameters(), strict=True):
        assert torch.equal(old, new)
    images = torch.rand(6, 1, 35, 35)
    torch.testing.assert_close(now(images), before((images - 0.2) / 0.4))


def test_pooling_first_and_last_have_the_same_weights() -> None:
    first, last = (build(Conv4(width=8, pool=pool), image_size=28) for pool in ("first", "last"))
    shapes = [[tuple(p.shape) for p in network.parameters()] for network in (first, last)]
    assert shapes[0] == shapes[1]
    assert sum(p.numel() for p in first.parameters()) == 8 * 9 + 3 * 64 * 9 + 4 * 16 + 64 * 8 + 64


def test_koch_makes_the_map_of_its_paper() -> None:
    network = ENCODERS["koch"](Koch(), 1, (105, 105))
    assert network(torch.rand(1, 1, 105, 105)).shape == (1, 256, 6, 6)
    kernels = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    assert kernels == [(64, 1, 10, 10), (128, 64, 7, 7), (128, 128, 4, 4), (256, 128, 4, 4)]


def test_koch_without_padding_takes_65_pixels_and_no_fewer() -> None:
    config = Koch(width=4)
    assert build(config, image_size=65)(torch.rand(1, 1, 65, 65)).shape == (1, 64)
    with pytest.raises(ValueError, match="image_size must be >= 65 with encoder koch, got"):
        build(config, image_size=64)


@pytest.mark.parametrize(
    ("widths", "expected"), [("wide", [64, 160, 320, 640]), ("doubling", [64, 128, 256, 512])]
)
def test_resnet12_has_the_widths_of_its_papers(widths: str, expected: list[int]) -> None:
    network = ENCODERS["resnet12"](ResNet12.model_validate({"widths": widths}), 3, (84, 84))
    shortcuts = [p.shape[0] for key, p in network.named_parameters() if "shortcut.0" in key]
    assert shortcuts == expected
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 16
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 32, 32)).shape == (1, expected[-1], 2, 2)


def test_hybrid_dilated_sees_every_pixel_of_its_field() -> None:
    """Dilations 1, 2, 5 leave no hole: the gradient of one place of the map is a full square."""
    network = ENCODERS["hybrid_dilated"](HybridDilated(width=4), 1, (32, 32))
    assert isinstance(network, nn.Sequential)
    convolutions = nn.Sequential(*(layer for layer in network if isinstance(layer, nn.Conv2d)))
    for layer in convolutions:
        nn.init.constant_(layer.weight, 1.0)  # type: ignore[arg-type]  # it is a Conv2d
    image = torch.zeros(1, 1, 32, 32, requires_grad=True)
    convolutions(image)[0, 0, 16, 16].backward()
    assert image.grad is not None
    seen = image.grad[0, 0] != 0
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:25, 8:25] = True
    assert torch.equal(seen, expected)


def test_a_vector_is_an_image_of_height_1() -> None:
    encoder = build(Mlp(hidden=16, embedding_dim=4), image_size=(1, 20))
    assert encoder(torch.rand(3, 1, 1, 20)).shape == (3, 4)


def test_a_series_is_no_image() -> None:
    with pytest.raises(ValueError, match=r"must be of shape .* got height 28 and length 28"):
        build(Conv1d(), image_size=28)
    with pytest.raises(ValueError, match=r"image_size must be >= 16 .* got image_size=1 x 28"):
        build(Conv4(), image_size=(1, 28))


def test_the_recipe_names_exactly_the_classification_models_of_torchvision() -> None:
    from torchvision import models

    assert list(get_args(TorchvisionModel)) == models.list_models(module=models)
