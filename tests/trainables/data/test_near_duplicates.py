"""Near-duplicates, and what they do to a score."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from toy import image_set

from tripletune.trainables import ImageSet
from tripletune.trainables.data import near_duplicates
from tripletune.trainables.data.near_duplicates import (
    across,
    between_classes,
    leaks,
    place_of,
    thumbnails,
    within_classes,
)

SIZE = 48


def photographs(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pictures, (N, 3, 48, 48)."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    made = [
        np.asarray(Image.fromarray(one).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        for one in small
    ]
    return np.stack(made).transpose(0, 3, 1, 2)


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def copies(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture saved as JPEG, made smaller and larger again, and brightened."""
    picture, file = as_image(pixels), BytesIO()
    picture.save(file, "JPEG", quality=85)
    made = [
        Image.open(BytesIO(file.getvalue())),
        picture.resize((30, 30)).resize((SIZE, SIZE)),
        ImageEnhance.Brightness(picture).enhance(1.1),
    ]
    return [np.asarray(one).transpose(2, 0, 1) for one in made]


def test_copies_are_found_and_other_pictures_are_not() -> None:
    known = photographs(60)
    asked = np.stack([*copies(known[7]), *photographs(40, seed=1)])
    found = across(thumbnails(known), thumbnails(asked))
    assert {(pair.first, pair.second) for pair in found} == {(7, 0), (7, 1), (7, 2)}
    assert all(0.99 <= pair.correlation <= 1.0 for pair in found)
    assert found[0].correlation == max(pair.correlation for pair in found)


def test_pictures_of_one_colour_are_copies_of_nothing() -> None:
    plain = np.full((5, 1, 20, 20), 90, np.uint8)
    assert across(thumbnails(plain), thumbnails(plain)) == []


def test_the_pairs_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.concatenate([photographs(30), photographs(30)])
    some, labels = thumbnails(pictures), np.arange(60)
    whole = between_classes(some, labels)
    assert {(pair.first, pair.second) for pair in whole} == {(i, i + 30) for i in range(30)}
    monkeypatch.setattr(near_duplicates, "CHUNK_VALUES", 200)
    assert set(between_classes(some, labels)) == set(whole)


def labelled(pixels: NDArray[np.uint8], per_class: int, groups: int = 1) -> ImageSet:
    num_classes = len(pixels) // per_class
    return ImageSet(
        images=pixels,
        labels=np.repeat(np.arange(num_classes), per_class),
        classes=tuple(f"c{number:02d}" for number in range(num_classes)),
        groups=tuple(f"g{number}" for number in range(groups)),
        group_of_class=np.arange(num_classes) * groups // num_classes,
    )


def test_pairs_within_a_class_and_between_classes_are_told_apart() -> None:
    pixels = photographs(12)
    pixels[2] = pixels[0]  # of class 0
    pixels[9] = pixels[1]  # of classes 0 and 2
    data = labelled(pixels, per_class=4)
    some = thumbnails(data.images)
    within, between = within_classes(some, data.labels), between_classes(some, data.labels)
    assert [(pair.first, pair.second) for pair in within] == [(0, 2)]
    assert [(pair.first, pair.second) for pair in between] == [(1, 9)]
    assert place_of(data, 9) == "c02 #2"


def test_copies_across_the_sides_and_shared_groups_are_told() -> None:
    train, validation = labelled(photographs(20), 5, 2), labelled(photographs(20, 1), 5, 2)
    lines = leaks(train, validation)
    assert len(lines) == 1
    assert lines[0].startswith("2 groups have classes on both sides, such as g0:")
    validation.images[3] = train.images[6]
    copies_line, _ = leaks(train, validation)
    assert copies_line.startswith(
        "1 of 20 (5.0%) of the validation images are nearly the same as a training image, such "
        "as c00 #4 and c01 #2"
    )


def test_shots_of_one_scene_are_told() -> None:
    pixels = photographs(20, 1)
    pixels[1] = pixels[0]
    (line,) = leaks(labelled(photographs(20), 5), labelled(pixels, 5))
    assert "as another of their class, such as c00 #2 and c00 #1: support and query" in line


def test_an_honest_split_says_nothing_and_series_are_not_looked_at() -> None:
    assert leaks(image_set(groups=1, seed=0), image_set(groups=1, seed=1)) == []
    series = replace(labelled(photographs(4), 2), images=np.zeros((4, 1, 1, 50), np.float32))
    assert leaks(series, series) == []


def test_of_a_large_set_some_images_are_compared() -> None:
    some = thumbnails(photographs(50), most=10)
    assert len(some.index) == len(some.values) == 10
    assert (int(some.index[0]), int(some.index[-1])) == (0, 49)
