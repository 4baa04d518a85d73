"""Data on their way to the trials: by Ray's object store, or by the path of a mapped file."""

from pathlib import Path

import numpy as np
import pytest
from toy_search import toy_options, toy_space

from tripletune.search import shipping
from tripletune.search.runner import run_search
from tripletune.search.shipping import Mapped, receive, ship
from tripletune.trainables import TrialData
from tripletune.trainables.data import ArrayFile, load_trial_data

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(params=["memory", "mapped"])
def data(request: pytest.FixtureRequest, images: Path, tmp_path: Path) -> TrialData:
    """The toy set from a cache of its own."""
    (config,) = toy_space(images, data__storage=request.param).data_configs()
    return load_trial_data(config, tmp_path / "cache")


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As on a machine that does not see the files of this one."""
    monkeypatch.setattr(ArrayFile, "is_here", lambda file: False)
    monkeypatch.setattr(shipping, "default_cache_dir", lambda: tmp_path / "other")
    monkeypatch.setattr(shipping, "CHUNK_BYTES", 1000)
    return tmp_path / "other"


def assert_same(one: TrialData, other: TrialData) -> None:
    assert (one.fingerprint, one.split_digest) == (other.fingerprint, other.split_digest)
    assert (one.notes, one.preprocessing) == (other.notes, other.preprocessing)
    for side in ("train", "validation"):
        first, second = getattr(one, side), getattr(other, side)
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.labels, second.labels)
        assert (first.classes, first.groups) == (second.classes, second.groups)
        assert np.array_equal(first.group_of_class, second.group_of_class)


@pytest.mark.parametrize("is_one_machine", [True, False])
def test_what_is_shipped_arrives(is_one_machine: bool, data: TrialData) -> None:
    shipment = ship(data, is_one_machine=is_one_machine)
    received = receive(shipment)
    assert_same(received, data)
    assert isinstance(shipment, Mapped) == isinstance(data.train.images, np.memmap)
    if isinstance(shipment, Mapped):
        assert ArrayFile.of(received.train.images) == shipment.train.file
        assert bool(shipment.train.chunks) != is_one_machine


@pytest.mark.parametrize("data", ["mapped"], indirect=True)
def test_another_machine_gets_the_images_through_the_object_store_once(
    data: TrialData, other_machine: Path
) -> None:
    shipment = ship(data, is_one_machine=False)
    assert isinstance(shipment, Mapped)
    assert len(shipment.train.chunks) > 1
    first = receive(shipment)
    assert_same(first, data)
    file = ArrayFile.of(first.train.images)
    assert file is not None
    assert other_machine in Path(file.path).parents
    again = receive(shipment)
    assert_same(again, data)
    assert ArrayFile.of(again.train.images) == file  # not written anew


@pytest.mark.parametrize("data", ["mapped"], indirect=True)
@pytest.mark.usefixtures("other_machine")
def test_files_that_are_gone_and_were_not_sent_are_named(data: TrialData) -> None:
    with pytest.raises(FileNotFoundError, match="must be as they were when the search began"):
        receive(ship(data, is_one_machine=True))


def test_a_search_over_mapped_images_scores_as_one_in_memory(images: Path, tmp_path: Path) -> None:
    curves = []
    for storage in ("memory", "mapped"):
        space = toy_space(images, data__storage=storage)
        options = toy_options(2, scheduler="none")  # who is stopped depends on who is first
        study = run_search(space, options, name=storage, runs=tmp_path)
        curves.append(
            [
                [(report.step, report.one_shot_accuracy, report.loss) for report in record.reports]
                for record in study.records()
            ]
        )
    assert curves[0] == curves[1]
    assert len(curves[0]) == 2
