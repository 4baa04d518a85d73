"""Batches of P classes x K samples."""

import numpy as np
import pytest
from toy import image_set

from tripletune.spaces import BatchConfig
from tripletune.trainables.sampler import BatchSampler


def test_a_batch_holds_p_classes_of_k_different_images() -> None:
    data = image_set(images=5)
    batch = BatchSampler(BatchConfig(classes=7, samples=4), data, seed=3).draw(11)
    labels, counts = np.unique(batch.labels, return_counts=True)
    assert len(labels) == 7
    assert counts.tolist() == [4] * 7
    assert len(np.unique(batch.images)) == 28
    assert np.array_equal(data.labels[batch.images.numpy()], batch.labels.numpy())


def test_the_same_step_gives_the_same_batch_and_another_step_another_one() -> None:
    config = BatchConfig(classes=6, samples=3)
    first = BatchSampler(config, image_set(), seed=3).draw(5)
    again = BatchSampler(config, image_set(), seed=3).draw(5)
    other = BatchSampler(config, image_set(), seed=3).draw(6)
    assert first.images.tolist() == again.images.tolist()
    assert first.images.tolist() != other.images.tolist()


def test_a_class_with_fewer_than_k_images_repeats_them_evenly() -> None:
    batch = BatchSampler(BatchConfig(classes=6, samples=7), image_set(images=3), seed=0).draw(0)
    for label in np.unique(batch.labels):
        _, counts = np.unique(batch.images[batch.labels == label], return_counts=True)
        assert sorted(counts.tolist()) == [2, 2, 3]


@pytest.mark.parametrize("groups", [1, 2])
def test_within_group_draws_from_as_few_groups_as_asked(groups: int) -> None:
    data = image_set(groups=3, classes=6)
    config = BatchConfig(classes=6, samples=2, draw="within_group", groups=groups)
    seen = set()
    for step in range(30):
        labels = BatchSampler(config, data, seed=1).draw(step).labels.numpy()
        drawn = np.unique(data.group_of_class[labels])
        assert len(drawn) <= groups
        seen.update(drawn.tolist())
    assert seen == {0, 1, 2}


def test_within_group_adds_groups_where_one_holds_too_few_classes() -> None:
    config = BatchConfig(classes=14, samples=2, draw="within_group", groups=1)
    labels = BatchSampler(config, image_set(groups=3, classes=6), seed=1).draw(0).labels
    assert len(np.unique(labels)) == 14


def test_turned_classes_are_classes_of_their_own() -> None:
    data = image_set()
    config = BatchConfig(classes=40, samples=2, rotations_as_classes=True)
    batch = BatchSampler(config, data, seed=0).draw(0)
    assert len(np.unique(batch.labels)) == 40
    assert np.array_equal(batch.labels.numpy() % 4, batch.quarter_turns.numpy())
    assert np.array_equal(batch.labels.numpy() // 4, data.labels[batch.images.numpy()])


def test_more_classes_than_the_set_holds_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"batch.classes must be <= 18, the training classes, got 19"
    ):
        BatchSampler(BatchConfig(classes=19, samples=2), image_set(), seed=0)
