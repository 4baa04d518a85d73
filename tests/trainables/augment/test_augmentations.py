"""Every augmentation against its formula on one image, and what all of them keep."""

import colorsys
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tripletune.spaces import (
    AugmentConfig,
    BlurConfig,
    ColorJitterConfig,
    CropConfig,
    DropoutConfig,
    ElasticConfig,
    ErasingConfig,
    FlipConfig,
    GreyConfig,
)
from tripletune.trainables.augment import AUGMENTATIONS, augment, is_on
from tripletune.trainables.augment.blur import random_blur
from tripletune.trainables.augment.color import (
    luma,
    random_color_jitter,
    random_grey,
    turn_hue,
)
from tripletune.trainables.augment.crop import random_crop
from tripletune.trainables.augment.elastic import random_elastic
from tripletune.trainables.augment.erasing import (
    random_dropout,
    random_erasing,
    random_rectangles,
)
from tripletune.trainables.augment.flip import random_flip

SIDE = 12
STILL = AugmentConfig(degrees=0, translate=0, scale=0, shear=0, probability=0)
ALWAYS = {
    "affine": AugmentConfig(),
    "crop": STILL.model_copy(update={"crop": CropConfig(probability=1)}),
    "elastic": STILL.model_copy(update={"elastic": ElasticConfig(probability=1)}),
    "flip": STILL.model_copy(update={"flip": FlipConfig(horizontal=0.5, vertical=0.5)}),
    "color_jitter": STILL.model_copy(update={"color_jitter": ColorJitterConfig(probability=1)}),
    "grey": STILL.model_copy(update={"grey": GreyConfig(probability=1)}),
    "blur": STILL.model_copy(update={"blur": BlurConfig(probability=1)}),
    "erasing": STILL.model_copy(update={"erasing": ErasingConfig(probability=1, fill="noise")}),
    "dropout": STILL.model_copy(update={"dropout": DropoutConfig(probability=1)}),
}
EVERYTHING = AugmentConfig.model_validate(
    {name: getattr(config, name) for name, config in ALWAYS.items() if name != "affine"}
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(count: int = 8, channels: int = 3) -> Tensor:
    shape = (count, channels, SIDE, SIDE)
    return torch.randint(0, 256, shape, generator=seeded(9), dtype=torch.uint8)


def images(count: int = 8, channels: int = 3) -> Tensor:
    return pixels(count, channels).float() / 255


def run(config: AugmentConfig, given: Tensor, seed: int = 0) -> Tensor:
    return augment(given, config, torch.zeros(len(given), dtype=torch.int64), seeded(seed))


def test_every_augmentation_has_a_case_and_a_place_in_the_order() -> None:
    assert list(ALWAYS) == list(AUGMENTATIONS)
    assert all(is_on(config, name) for name, config in ALWAYS.items())
    on = [name for name in AUGMENTATIONS if is_on(AugmentConfig(), name)]
    assert on == ["affine"]


def test_the_table_of_the_docs_names_every_augmentation_in_order() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert [name for name in rows if name in AUGMENTATIONS] == list(AUGMENTATIONS)


# Sums of the images that `augment` gave before there was anything but the affine map.
@pytest.mark.parametrize(
    ("channels", "sums"),
    [
        (1, [106.874983, 113.231514, 110.646438, 123.641283, 126.432864, 108.365336]),
        (3, [380.097657, 400.462727, 372.222616, 370.305748, 375.714507, 377.924111]),
    ],
)
def test_recipes_with_the_affine_map_alone_train_on_the_images_they_always_had(
    channels: int, sums: list[float]
) -> None:
    generator = seeded(5)
    shape = (6, channels, 16, 16)
    given = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    out = augment(given, AugmentConfig(), torch.arange(6) % 4, generator)
    np.testing.assert_allclose(out.double().sum((1, 2, 3)), sums, rtol=1e-6)
    plain = seeded(5)
    torch.randint(0, 256, shape, generator=plain, dtype=torch.uint8)
    torch.rand((6, 7), generator=plain)
    assert torch.equal(generator.get_state(), plain.get_state())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_repeats_with_its_generator_and_keeps_shape_and_range(
    name: str, channels: int
) -> None:
    given = pixels(16, channels)
    out = run(ALWAYS[name], given)
    assert out.shape == given.shape
    assert out.dtype == torch.float32
    assert not out.requires_grad
    assert out.min() >= 0.0
    assert out.max() <= 1.0 + 1e-6
    assert torch.equal(out, run(ALWAYS[name], given))
    if (name, channels) != ("grey", 1):  # a grey image has no colour to lose
        assert not torch.equal(out, run(STILL, given))
    if name != "grey":  # which is certain here
        assert not torch.equal(out, run(ALWAYS[name], given, seed=1))


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "affine"])
def test_images_differ_in_their_draws(name: str) -> None:
    if name == "grey":
        config = STILL.model_copy(update={"grey": GreyConfig(probability=0.5)})
    else:
        config = ALWAYS[name]
    same = pixels(1).expand(16, -1, -1, -1).contiguous()
    assert len({image.numpy().tobytes() for image in run(config, same)}) > 1


def test_all_together_keep_the_range_and_repeat() -> None:
    out = run(EVERYTHING, pixels(32))
    assert out.min() >= 0.0
    assert out.max() <= 1.0 + 1e-6
    assert torch.equal(out, run(EVERYTHING, pixels(32)))


def test_probability_0_is_the_identity_whatever_else_is_set() -> None:
    given = images()
    kept = [
        random_flip(given, FlipConfig(), seeded()),
        random_color_jitter(given, ColorJitterConfig(brightness=1, hue=0.5), seeded()),
        random_grey(given, GreyConfig(), seeded()),
        random_blur(given, BlurConfig(largest=9.0), seeded()),
        random_erasing(given, ErasingConfig(fill="noise"), seeded()),
        random_dropout(given, DropoutConfig(share=0.9), seeded()),
    ]
    for out in kept:
        torch.testing.assert_close(out, given, atol=0, rtol=0)
    maps = torch.tensor([[[1.0, 0.2, 0.3], [0.1, 0.9, -0.2]]]).repeat(4, 1, 1)
    assert torch.equal(random_crop(maps, CropConfig(smallest=0.1), seeded()), maps)
    grid = torch.rand(4, SIDE, SIDE, 2, generator=seeded())
    assert torch.equal(random_elastic(grid, ElasticConfig(strength=0.5), seeded()), grid)


def test_a_probability_is_the_share_of_the_images() -> None:
    given = torch.ones(4000, 1, 2, 2)
    out = random_erasing(
        given, ErasingConfig(probability=0.3, smallest=1, largest=1, aspect=1), seeded()
    )
    assert abs(float((out == 0).all((1, 2, 3)).float().mean()) - 0.3) < 0.03


def test_flips_are_exact() -> None:
    given = images()
    assert torch.equal(random_flip(given, FlipConfig(horizontal=1), seeded()), given.flip(3))
    assert torch.equal(random_flip(given, FlipConfig(vertical=1), seeded()), given.flip(2))
    both = FlipConfig(horizontal=1, vertical=1)
    assert torch.equal(random_flip(given, both, seeded()), given.flip(2, 3))


def test_grey_is_the_luma_in_every_channel() -> None:
    given = images()
    out = random_grey(given, GreyConfig(probability=1), seeded())
    for image, grey in zip(given.double(), out, strict=True):
        for y, x in np.ndindex(SIDE, SIDE):
            red, green, blue = image[:, y, x].tolist()
            expected = 0.299 * red + 0.587 * green + 0.114 * blue
            assert grey[:, y, x].tolist() == pytest.approx([expected] * 3, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast_follow_their_formulas(channels: int) -> None:
    given = images(6, channels)
    off = {"saturation": 0.0, "hue": 0.0}
    draws = torch.rand((6, 5), generator=seeded()).double()
    config = ColorJitterConfig(probability=1, brightness=0.6, contrast=0.0, **off)
    bright = random_color_jitter(given, config, seeded())
    for image, out, draw in zip(given, bright, draws, strict=True):
        expected = (image.double() * (1 + (2 * draw[0] - 1) * 0.6)).clamp(0, 1)
        torch.testing.assert_close(out.double(), expected, atol=1e-6, rtol=0)
    config = ColorJitterConfig(probability=1, brightness=0.0, contrast=0.6, **off)
    sharp = random_color_jitter(given, config, seeded())
    for image, out, draw in zip(given, sharp, draws, strict=True):
        factor = 1 + (2 * draw[1] - 1) * 0.6
        mean = luma(image[None]).double().mean()
        expected = (factor * image.double() + (1 - factor) * mean).clamp(0, 1)
        torch.testing.assert_close(out.double(), expected, atol=1e-6, rtol=0)


def test_saturation_moves_each_pixel_from_its_luma() -> None:
    given = images(6)
    config = ColorJitterConfig(probability=1, brightness=0, contrast=0, saturation=0.9, hue=0)
    out = random_color_jitter(given, config, seeded())
    draws = torch.rand((6, 5), generator=seeded()).double()
    for image, changed, draw in zip(given, out, draws, strict=True):
        factor = 1 + (2 * draw[2] - 1) * 0.9
        grey = luma(image[None])[0].double()
        expected = (factor * image.double() + (1 - factor) * grey).clamp(0, 1)
        torch.testing.assert_close(changed.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.25, 0.5])
def test_a_turn_of_the_hue_is_that_of_the_colour_model(turn: float) -> None:
    given = images(2)
    out = turn_hue(given, torch.full((2, 1, 1, 1), turn))
    for image, changed in zip(given, out, strict=True):
        for y, x in np.ndindex(SIDE, SIDE):
            hue, saturation, value = colorsys.rgb_to_hsv(*image[:, y, x].double().tolist())
            expected = colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)
            assert changed[:, y, x].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_whole_turn_of_the_hue_and_any_turn_of_grey_change_nothing() -> None:
    given = images()
    torch.testing.assert_close(turn_hue(given, torch.ones(8, 1, 1, 1)), given, atol=1e-6, rtol=0)
    grey = images(channels=1).expand(-1, 3, -1, -1)
    assert torch.equal(turn_hue(grey, torch.full((8, 1, 1, 1), 0.3)), grey)


def test_a_blurred_constant_is_that_constant_and_a_blur_follows_its_formula() -> None:
    constant = torch.full((4, 3, SIDE, SIDE), 0.7)
    config = BlurConfig(probability=1, smallest=0.5, largest=4.0)
    torch.testing.assert_close(random_blur(constant, config, seeded()), constant)
    given = images(3, 1)
    out = random_blur(given, config, seeded())
    sigmas = 0.5 + 3.5 * torch.rand((3, 2), generator=seeded()).double()[:, 1]
    for image, blurred, sigma in zip(given, out, sigmas.tolist(), strict=True):
        place = np.arange(SIDE)
        kernel = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
        kernel /= kernel.sum(1, keepdims=True)
        expected = kernel @ image[0].double().numpy() @ kernel.T
        np.testing.assert_allclose(blurred[0], expected, atol=1e-6)


@pytest.mark.parametrize("fill", ["zero", "mean", "noise"])
def test_erasing_replaces_exactly_the_drawn_rectangle(fill: str) -> None:
    config = ErasingConfig.model_validate({"probability": 1.0, "fill": fill})
    given = images() * 0.5 + 0.25
    out = random_erasing(given, config, seeded())
    masks = random_rectangles(config, len(given), SIDE, seeded())
    draws = torch.rand((len(given), 5), generator=seeded()).double().tolist()
    for image, changed, mask, draw in zip(given, out, masks, draws, strict=True):
        area = config.smallest + (config.largest - config.smallest) * draw[1]
        ratio = math.exp((2 * draw[2] - 1) * math.log(config.aspect))
        width = max(1, round(min(1.0, math.sqrt(area * ratio)) * SIDE))
        height = max(1, round(min(1.0, math.sqrt(area / ratio)) * SIDE))
        left, top = int(draw[3] * (SIDE - width + 1)), int(draw[4] * (SIDE - height + 1))
        expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        expected[top : top + height, left : left + width] = True
        assert torch.equal(mask, expected)
        assert torch.equal(changed[:, ~mask], image[:, ~mask])
        assert torch.all(changed[:, mask] != image[:, mask])
        if fill == "zero":
            assert torch.all(changed[:, mask] == 0)
        if fill == "mean":
            mean = image.double().mean((1, 2))[:, None].expand(-1, int(mask.sum()))
            torch.testing.assert_close(changed[:, mask].double(), mean, atol=1e-6, rtol=0)


def test_dropout_takes_its_share_of_the_pixels_with_all_their_channels() -> None:
    given = torch.ones(64, 3, 32, 32)
    out = random_dropout(given, DropoutConfig(probability=1, share=0.2), seeded())
    assert set(out.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(out.amax(1), out.amin(1))
    assert abs(float((out == 0).float().mean()) - 0.2) < 0.01


def test_a_crop_is_the_stretched_part_of_the_image() -> None:
    ramp = torch.arange(64).float().repeat(64, 1)  # the value is the column
    given = torch.stack([ramp, ramp.T, ramp])[None].repeat(16, 1, 1, 1).to(torch.uint8)
    config = CropConfig(probability=1, smallest=0.2, aspect=1.5)
    out = run(STILL.model_copy(update={"crop": config}), given) * 255
    generator = seeded()
    torch.rand((16, 7), generator=generator)  # the affine map's
    draws = torch.rand((16, 5), generator=generator).double().tolist()
    for image, draw in zip(out, draws, strict=True):
        area = 0.2 + 0.8 * draw[1]
        ratio = math.exp((2 * draw[2] - 1) * math.log(1.5))
        for channel, side, place in (
            (image[0, 32], math.sqrt(area * ratio), draw[3]),
            (image[1, :, 32], math.sqrt(area / ratio), draw[4]),
        ):
            side = min(1.0, side)
            start = place * (1 - side)
            columns = (start + side * (np.arange(64) + 0.5) / 64) * 64 - 0.5
            np.testing.assert_allclose(channel, columns.clip(0, 63), atol=2e-3)


def test_an_elastic_warp_has_its_strength_and_is_smooth() -> None:
    still = torch.zeros(64, 48, 48, 2)
    config = ElasticConfig(probability=1, strength=0.05, smoothness=0.1)
    field = random_elastic(still, config, seeded()) / 2  # of the side
    assert float(field.std()) == pytest.approx(0.05, rel=0.1)
    assert float(field[:, 0].std()) == pytest.approx(0.05, rel=0.15)  # at the border too
    # The correlation of neighbours of a field smoothed with s.d. s pixels is exp(-1 / (4 s^2)).
    steps = (field[:, 1:] - field[:, :-1]).square().mean() / field.square().mean()
    assert float(steps) == pytest.approx(2 * (1 - math.exp(-1 / (4 * 4.8**2))), rel=0.1)


def test_what_is_off_draws_nothing() -> None:
    erasing = STILL.model_copy(update={"erasing": ErasingConfig(probability=1)})
    mixed = erasing.model_copy(update={"blur": BlurConfig(largest=3.0)})
    assert torch.equal(run(erasing, pixels()), run(mixed, pixels()))
