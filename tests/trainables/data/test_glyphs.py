"""The built-in data set."""

import numpy as np
import pytest

from tripletune.spaces import DataConfig
from tripletune.trainables.data import Preprocessing
from tripletune.trainables.data.alphabets import ALPHABETS
from tripletune.trainables.data.glyphs import (
    NUM_HANDS,
    GlyphSource,
    distinct_characters,
    draw,
    make_hands,
)


@pytest.fixture(scope="module")
def scripts() -> dict[str, tuple[str, ...]]:
    """The characters that are kept."""
    return distinct_characters()


def test_there_are_enough_scripts_of_enough_characters(
    scripts: dict[str, tuple[str, ...]],
) -> None:
    sizes = [len(characters) for characters in scripts.values()]
    assert len(sizes) == 22
    assert min(sizes) >= 20  # a 20-way episode fits into every script
    assert sum(sizes) == 798


def test_look_alikes_are_kept_once(scripts: dict[str, tuple[str, ...]]) -> None:
    kept = {character for characters in scripts.values() for character in characters}
    for alike in ("A\u0391\u0410", "O\u039f\u041e", "Oo", "Vv\u2228"):
        assert len(kept.intersection(alike)) <= 1


def test_a_drawing_depends_on_its_character_and_hand_only() -> None:
    hands = make_hands()
    assert make_hands() == hands
    first = draw("R", hands, 28)
    draw("Q", hands, 28)
    assert np.array_equal(draw("R", hands, 28), first)
    assert len({drawing.tobytes() for drawing in first}) == NUM_HANDS


def test_ink_is_bright_on_black_and_every_drawing_has_some(
    scripts: dict[str, tuple[str, ...]],
) -> None:
    hands = make_hands()
    for characters in scripts.values():
        drawings = draw(characters[2], hands, 24)
        assert drawings.max(axis=(1, 2)).min() > 100
        assert np.median(drawings) == 0


def test_characters_that_no_face_holds_are_left_out(
    scripts: dict[str, tuple[str, ...]],
) -> None:
    # Mathematical script B lies in another block: its place in the run is not assigned.
    assert "\U0001d49d" in ALPHABETS["script"]
    assert "\U0001d49d" not in scripts["script"]


@pytest.mark.parametrize("image_size", [16, 33, 64])
def test_any_size_can_be_drawn(image_size: int) -> None:
    drawings = draw("R", make_hands(), image_size)
    assert drawings.shape == (NUM_HANDS, image_size, image_size)
    share = (drawings > 127).mean()
    assert 0.05 < share < 0.4


def test_color_repeats_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"hebrew": ("\u05d0", "\u05d1"), "nko": ("\u07ca", "\u07cb")}
    monkeypatch.setattr("tripletune.trainables.data.glyphs.distinct_characters", lambda: few)
    decoded = GlyphSource(DataConfig(image_size=16, color="rgb")).decode()
    images = decoded.image_set
    assert images.images.shape == (4 * NUM_HANDS, 3, 16, 16)
    assert np.array_equal(images.images[:, 0], images.images[:, 2])
    assert images.classes == ("hebrew/U+05D0", "hebrew/U+05D1", "nko/U+07CA", "nko/U+07CB")
    assert isinstance(decoded.preprocessing, Preprocessing)
    assert decoded.preprocessing.invert
