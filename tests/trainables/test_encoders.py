"""Every encoder: the contract, over the registry."""

import pytest
import torch

from tripletune.spaces import Conv4, EncoderConfig, ResNet18
from tripletune.trainables import ENCODERS, Encoder, build_encoder

CONFIGS: dict[str, EncoderConfig] = {
    "conv4": Conv4(width=8, embedding_dim=12),
    "resnet18": ResNet18(embedding_dim=12),
}


def build(name: str, *, channels: int = 1, image_size: int = 35, seed: int = 0) -> Encoder:
    return build_encoder(
        CONFIGS[name],
        channels=channels,
        image_size=image_size,
        mean=torch.full((channels,), 0.2),
        std=torch.full((channels,), 0.4),
        seed=seed,
    )


def test_every_encoder_has_its_row_here() -> None:
    assert set(CONFIGS) == set(ENCODERS)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_encoder_gives_an_embedding_of_the_asked_size(name: str, channels: int) -> None:
    images = torch.rand(3, channels, 35, 35)
    assert build(name, channels=channels)(images).shape == (3, 12)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_seed_gives_the_same_weights_and_leaves_the_process_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, second, other = build(name), build(name), build(name, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [next(encoder.parameters()) for encoder in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_gets_a_gradient(name: str) -> None:
    encoder = build(name)
    encoder(torch.rand(4, 1, 35, 35)).square().sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", CONFIGS)
def test_the_embedding_of_an_image_does_not_depend_on_its_batch(name: str) -> None:
    encoder = build(name).eval()
    images = torch.rand(5, 1, 35, 35)
    with torch.inference_mode():
        alone, together = encoder(images[:1]), encoder(images)
    torch.testing.assert_close(alone, together[:1], atol=1e-5, rtol=1e-4)


def test_images_are_normalised_by_the_statistics_of_the_training_data() -> None:
    encoder = build("conv4").eval()
    plain = build("conv4").eval()
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


def test_pooling_first_and_last_have_the_same_weights() -> None:
    first = ENCODERS["conv4"](Conv4(width=8, pool="first"), 1, 28)
    last = ENCODERS["conv4"](Conv4(width=8, pool="last"), 1, 28)
    shapes = [[tuple(p.shape) for p in network.parameters()] for network in (first, last)]
    assert shapes[0] == shapes[1]
    assert sum(p.numel() for p in first.parameters()) == 8 * 9 + 3 * 64 * 9 + 4 * 16 + 64 * 8 + 64


def test_growth_widens_each_block() -> None:
    network = ENCODERS["conv4"](Conv4(width=4, growth=2, embedding_dim=8), 1, 32)
    shapes = [tuple(p.shape[:2]) for p in network.parameters() if p.ndim == 4]
    assert shapes == [(4, 1), (8, 4), (16, 8), (32, 16)]
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 8)


def test_an_image_too_small_for_four_poolings_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be >= 16 with encoder conv4"):
        ENCODERS["conv4"](Conv4(), 1, 15)
