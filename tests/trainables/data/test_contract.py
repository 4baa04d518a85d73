"""What every data set keeps, whatever it is made of."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tripletune.spaces import DataConfig, SplitConfig
from tripletune.trainables.data import (
    DATASETS,
    Preprocessing,
    TrialData,
    load_trial_data,
    split_classes,
)
from tripletune.trainables.data.cache import decode_with_cache

SIZE = 20


@pytest.fixture(params=sorted(DATASETS.keys() - {"series", "clouds"}))  # test_series.py has those
def config(request: pytest.FixtureRequest, color: str) -> DataConfig:
    """The data set's configuration, on a small tree where it needs files."""
    name = request.param
    path = None
    if name == "folder":
        make_tree = request.getfixturevalue("make_tree")
        path = str(make_tree([f"{group}/{char}" for group in "abcdef" for char in "xyz"]))
    elif name == "omniglot":
        path = str(request.getfixturevalue("omniglot_archive"))
    return DataConfig.model_validate(
        {"name": name, "path": path, "image_size": SIZE, "color": color}
    )


@pytest.fixture(params=["grey"])
def color(request: pytest.FixtureRequest) -> str:
    """Colour of the decoded images."""
    return str(request.param)


def test_registry_names_the_data_sets_of_the_recipe() -> None:
    assert set(DATASETS) == set(get_args(DataConfig.model_fields["name"].annotation))


def test_every_data_set_gives_disjoint_classes_of_the_asked_size(
    config: DataConfig, shared_cache: Path
) -> None:
    data = load_trial_data(config, shared_cache)
    again = load_trial_data(config, shared_cache)
    for side in (data.train, data.validation):
        assert side.images.dtype == np.uint8
        assert (side.channels, side.image_size) == (1, SIZE)
        assert side.num_classes >= 2
        assert side.class_counts.min() >= 2
        assert side.images.flags.writeable  # a copy, not the mapped file
        assert side.images.std(axis=(1, 2, 3)).min() > 0
    assert not set(data.train.classes) & set(data.validation.classes)
    assert not set(data.train.groups) & set(data.validation.groups)
    assert isinstance(data.preprocessing, Preprocessing)
    assert (data.preprocessing.image_size, data.preprocessing.color) == (SIZE, "grey")
    assert_equal(data, again)


@pytest.mark.parametrize("config", ["folder"], indirect=True)
@pytest.mark.parametrize("color", ["rgb"], indirect=True)
def test_rgb_has_three_channels(config: DataConfig, shared_cache: Path) -> None:
    assert load_trial_data(config, shared_cache).train.channels == 3


def test_omniglot_background_is_complete(omniglot_archive: Path, shared_cache: Path) -> None:
    config = DataConfig(name="omniglot", path=str(omniglot_archive), image_size=SIZE)
    decoded = decode_with_cache(DATASETS["omniglot"](config), config, shared_cache).decoded
    images = decoded.image_set
    assert (images.num_classes, len(images.groups), len(images)) == (964, 30, 19280)
    assert set(images.class_counts.tolist()) == {20}
    assert images.classes[0] == "Alphabet_of_the_Magi/character01"
    assert isinstance(decoded.preprocessing, Preprocessing)
    assert decoded.preprocessing.invert
    split = split_classes(images, SplitConfig(by="omniglot_vinyals"))
    assert (len(split.train), len(split.validation), len(split.test)) == (792, 172, 0)


def test_glyphs_are_complete(shared_cache: Path) -> None:
    config = DataConfig(name="glyphs", image_size=SIZE)
    decoded = decode_with_cache(DATASETS["glyphs"](config), config, shared_cache).decoded
    images = decoded.image_set
    assert (images.num_classes, len(images.groups), len(images)) == (798, 22, 15960)
    assert len({image.tobytes() for image in images.images}) == len(images)


def assert_equal(one: TrialData, other: TrialData) -> None:
    assert (one.fingerprint, one.split_digest) == (other.fingerprint, other.split_digest)
    assert (one.notes, one.preprocessing) == (other.notes, other.preprocessing)
    assert np.array_equal(one.train.images, other.train.images)
    assert np.array_equal(one.validation.images, other.validation.images)
