"""Class-disjoint splits."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripletune.spaces import SplitConfig
from tripletune.trainables.data import DataError, ImageSet, split_classes


def make_set(group_sizes: list[int]) -> ImageSet:
    owners = [group for group, size in enumerate(group_sizes) for _ in range(size)]
    return ImageSet(
        images=np.zeros((len(owners), 1, 2, 2), np.uint8),
        labels=np.arange(len(owners), dtype=np.int64),
        classes=tuple(f"g{group}/c{index}" for index, group in enumerate(owners)),
        groups=tuple(f"g{group}" for group in range(len(group_sizes))),
        group_of_class=np.array(owners, dtype=np.int64),
    )


@given(
    sizes=st.lists(st.integers(1, 5), min_size=6, max_size=30),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.0, 0.49),
    by=st.sampled_from(["group", "class"]),
    seed=st.integers(0, 2**31),
)
def test_every_class_is_on_one_side(
    sizes: list[int], validation: float, test: float, by: str, seed: int
) -> None:
    images = make_set(sizes)
    config = SplitConfig.model_validate(
        {"by": by, "validation": validation, "test": test, "seed": seed}
    )
    split = split_classes(images, config)
    assert sorted(split.train + split.validation + split.test) == sorted(images.classes)
    assert split.train
    assert split.validation
    assert bool(split.test) == (test > 0)
    if by == "group":
        sides = [
            {name.split("/")[0] for name in side}
            for side in (split.train, split.validation, split.test)
        ]
        assert sum(map(len, sides)) == len(images.groups)


def test_shares_are_rounded() -> None:
    split = split_classes(make_set([1] * 30), SplitConfig(validation=0.2, test=0.1))
    assert (len(split.train), len(split.validation), len(split.test)) == (21, 6, 3)


def test_split_never_changes() -> None:
    split = split_classes(make_set([1] * 6), SplitConfig())
    assert split.test == ("g1/c1",)
    assert split.validation == ("g0/c0",)


def test_another_seed_divides_otherwise() -> None:
    images = make_set([1] * 30)
    one, other = (split_classes(images, SplitConfig(seed=seed)) for seed in (0, 1))
    assert one.digest != other.digest


def test_set_of_one_group_is_split_by_class() -> None:
    split = split_classes(make_set([10]), SplitConfig(by="group"))
    assert split.by == "class"
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 2)


@pytest.mark.parametrize(("test", "least"), [(0.2, 6), (0.0, 4)])
def test_too_few_classes_are_refused(test: float, least: int) -> None:
    config = SplitConfig(test=test)
    split_classes(make_set([least]), config)
    with pytest.raises(DataError, match=f"at least {least} classes.*got {least - 1}"):
        split_classes(make_set([least - 1]), config)


def test_manifest_lists_the_sides() -> None:
    split = split_classes(make_set([2] * 5), SplitConfig())
    manifest = json.loads(split.manifest)
    assert tuple(manifest["test"]) == split.test
    assert len(split.digest) == 64


def test_subset_relabels_and_drops_groups() -> None:
    part = make_set([2, 2, 2]).subset(["g2/c5", "g0/c1"])
    assert part.classes == ("g0/c1", "g2/c5")
    assert part.groups == ("g0", "g2")
    assert part.labels.tolist() == part.group_of_class.tolist() == [0, 1]


def test_subset_refuses_an_unknown_class() -> None:
    with pytest.raises(ValueError, match="classes must be among those of the set, got 'x'"):
        make_set([2]).subset(["x"])


def test_image_set_refuses_labels_out_of_order() -> None:
    with pytest.raises(ValueError, match="labels must be sorted"):
        ImageSet(
            np.zeros((2, 1, 2, 2), np.uint8),
            np.array([1, 0]),
            ("a", "b"),
            ("all",),
            np.zeros(2, np.int64),
        )


def test_published_split_refuses_another_set() -> None:
    with pytest.raises(DataError, match=r"got a set with no group Armenian; set data.split.by"):
        split_classes(make_set([2] * 6), SplitConfig(by="omniglot_vinyals"))
