"""The random affine map."""

import torch

from tripletune.spaces import AugmentConfig
from tripletune.trainables.augment import augment

STILL = AugmentConfig(degrees=0, translate=0, scale=0, shear=0)


def images(count: int = 4, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 8, 8), generator=generator, dtype=torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_change_gives_the_images_themselves() -> None:
    out = augment(images(), STILL, torch.zeros(4, dtype=torch.int64), seeded())
    torch.testing.assert_close(out, images().float() / 255)


def test_quarter_turns_are_exact() -> None:
    turns = torch.arange(4)
    out = augment(images(), STILL, turns, seeded())
    for index in range(4):
        expected = torch.rot90(images()[index].float() / 255, index, dims=(1, 2))
        torch.testing.assert_close(out[index], expected, atol=1e-5, rtol=0)


def test_probability_0_maps_nothing() -> None:
    config = AugmentConfig(probability=0.0)
    out = augment(images(), config, torch.zeros(4, dtype=torch.int64), seeded())
    torch.testing.assert_close(out, images().float() / 255)


def test_the_same_generator_state_gives_the_same_images() -> None:
    zeros = torch.zeros(4, dtype=torch.int64)
    first = augment(images(), AugmentConfig(), zeros, seeded(1))
    assert torch.equal(first, augment(images(), AugmentConfig(), zeros, seeded(1)))
    assert not torch.equal(first, augment(images(), AugmentConfig(), zeros, seeded(2)))


def test_values_stay_in_the_unit_interval_and_grey_background_is_0() -> None:
    white = torch.full((16, 1, 8, 8), 255, dtype=torch.uint8)
    config = AugmentConfig(translate=0.5)
    out = augment(white, config, torch.zeros(16, dtype=torch.int64), seeded())
    assert out.min() == 0.0
    assert 0.99 < out.max() <= 1.0 + 1e-6


def test_colour_is_continued_at_the_border() -> None:
    white = torch.full((16, 3, 8, 8), 255, dtype=torch.uint8)
    config = AugmentConfig(translate=0.5)
    out = augment(white, config, torch.zeros(16, dtype=torch.int64), seeded())
    torch.testing.assert_close(out, torch.ones_like(out))
