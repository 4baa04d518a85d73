"""A space divided into families: every recipe in one of them, each family with its own."""

import pytest
from toy_space import SPACE

from tripletune.search.divided import families
from tripletune.spaces import Space

TOY = Space.from_text(SPACE, origin="toy.yaml")


def losses_and_miners(space: Space) -> set[tuple[str, str]]:
    """Of many recipes of a space, each drawn by the corners of one parameter after another."""
    found: set[tuple[str, str]] = set()
    for place in range(4):
        recipe = space.build(
            lambda _, d, place=place: d.corners[place % len(d.corners)]  # type: ignore[misc]
        )
        found.add((recipe.objective.loss.name, recipe.objective.miner.name))
    return found


def test_every_loss_is_a_family() -> None:
    found = families(TOY, "loss")

    assert list(found) == ["triplet", "supcon"]
    assert losses_and_miners(found["triplet"]) == {("triplet", "all"), ("triplet", "semi_hard")}
    assert losses_and_miners(found["supcon"]) == {("supcon", "none")}


def test_every_miner_of_every_loss_is_a_family() -> None:
    found = families(TOY, "miner")

    assert list(found) == ["triplet-all", "triplet-semi_hard", "supcon-none"]
    assert losses_and_miners(found["triplet-semi_hard"]) == {("triplet", "semi_hard")}


def test_presets_have_the_families_of_a_comparison() -> None:
    assert len(families(Space.load("omniglot"), "loss")) >= 6
    triplet = Space.load("omniglot").with_values({"objective": "triplet"})
    assert list(families(triplet, "miner")) == [
        "triplet-all",
        "triplet-semi_hard",
        "triplet-batch_hard",
        "triplet-easy_positive_semi_hard",
        "triplet-distance_weighted",
    ]


def test_a_single_family_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="two families or more, got 1 per loss"):
        families(TOY.with_values({"objective": "supcon"}), "loss")
