"""Kinds of trials: the registry, and training without labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import image_set, recipe, trial_data

from tripletune.spaces import TASKS as TASK_FACTS
from tripletune.spaces import (
    AugmentConfig,
    BatchConfig,
    DropoutConfig,
    MinerConfig,
    ObjectiveConfig,
    Recipe,
    Triplet,
    Unsupervised,
)
from tripletune.trainables import PreparedData, Report, Trial, prepare
from tripletune.trainables.encoders import build_encoder
from tripletune.trainables.tasks import TASKS
from tripletune.trainables.tasks.instances import InstanceSampler
from tripletune.trainables.tasks.neighbors import leave_one_out_accuracy


def unsupervised(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "task": Unsupervised(),
        "batch": BatchConfig(classes=8, samples=2),
        "augment": AugmentConfig(dropout=DropoutConfig(probability=1.0, share=0.4)),
    }
    return recipe(**(values | changes))


def toy_prepared(seed: int | None = None) -> PreparedData:
    """The toy set; with a seed, the labels of its training images are drawn anew."""
    data = trial_data()
    if seed is not None:
        labels = np.sort(np.random.default_rng(seed).permutation(data.train.labels))
        sizes = np.random.default_rng(seed).multinomial(
            len(labels) - data.train.num_classes, [1 / data.train.num_classes] * 18
        )
        data = replace(data, train=replace(data.train, labels=np.repeat(np.arange(18), sizes + 1)))
    return prepare(data, recipe().evaluation, torch.device("cpu"))


def last_report(config: Recipe, prepared: PreparedData) -> Report:
    trial = Trial(config, prepared)
    while not trial.is_done:
        trial.train_to_report()
    return trial.evaluate()


def test_registry_and_table_name_the_same_tasks() -> None:
    assert set(TASKS) == set(TASK_FACTS)


def test_training_without_labels_does_not_see_them() -> None:
    first = last_report(unsupervised(), toy_prepared())
    second = last_report(unsupervised(), toy_prepared(seed=3))

    assert first.loss == second.loss
    assert first.one_shot_accuracy == second.one_shot_accuracy
    assert first.scores == second.scores


def test_labels_would_be_noticed_under_a_supervised_task() -> None:
    first = last_report(recipe(), toy_prepared())
    second = last_report(recipe(), toy_prepared(seed=3))

    assert first.loss != second.loss


def test_each_item_of_a_batch_has_its_views_beside_one_another() -> None:
    sampler = InstanceSampler(BatchConfig(classes=8, samples=3), 30, seed=0)
    batch = sampler.draw(5)

    items = batch.images.view(8, 3)
    assert (items == items[:, :1]).all()
    assert len(items[:, 0].unique()) == 8
    assert torch.equal(batch.labels, batch.images)
    assert torch.equal(batch.images, sampler.draw(5).images)
    assert not torch.equal(batch.images, sampler.draw(6).images)


def test_batch_of_more_items_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch.classes must be <= 7, the training items, got 8"):
        InstanceSampler(BatchConfig(classes=8), 7, seed=0)


@pytest.mark.parametrize("first_view", ["plain", "augmented"])
def test_first_view_is_the_item_itself_only_where_that_is_asked_for(first_view: str) -> None:
    config = unsupervised(task=Unsupervised(first_view=first_view))  # type: ignore[arg-type]
    prepared = toy_prepared()
    encoder = build_encoder(
        config.encoder, channels=1, image_size=16, mean=prepared.mean, std=prepared.std, seed=0
    )
    task = TASKS["unsupervised"](config, prepared, encoder)
    items = prepared.train_images[task.sampler.draw(0).images]
    views = task.augment(items, torch.zeros(len(items), dtype=torch.int64), torch.Generator())

    is_same = torch.isclose(views, items.float() / 255).flatten(1).all(1)
    expected = torch.arange(len(items)) % 2 == 0 if first_view == "plain" else is_same & False
    assert torch.equal(is_same, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective": {"loss": {"name": "proxy_anchor"}}},
            r"objective\.loss\.name must not learn",
        ),
        (
            {"objective": {"loss": {"name": "margin", "learn_beta": "class"}}},
            r"objective\.loss\.learn_beta must not learn",
        ),
        (
            {
                "objective": ObjectiveConfig(
                    loss=Triplet(), miner=MinerConfig(name="mixed", scope="bank")
                )
            },
            r"objective\.miner\.scope must be batch with task unsupervised",
        ),
        (
            {"batch": BatchConfig(draw="within_group")},
            r"batch\.draw must be any with task unsupervised",
        ),
        (
            {"batch": BatchConfig(rotations_as_classes=True)},
            r"batch\.rotations_as_classes must be false with task unsupervised",
        ),
    ],
)
def test_what_needs_labels_is_refused_without_them(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        unsupervised(**changes)


def test_neighbors_vote_as_in_a_loop() -> None:
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(40, 3, generator=random)
    labels = torch.randint(0, 4, (40,), generator=random)
    credit = 0.0
    for i in range(40):
        order = (embeddings - embeddings[i]).norm(dim=1).argsort()
        votes = torch.bincount(labels[order[order != i][:5]], minlength=4)
        best = (votes == votes.max()).nonzero()[:, 0]
        credit += float(labels[i] in best) / len(best)

    accuracy = leave_one_out_accuracy(embeddings, labels, neighbors=5)

    assert accuracy == pytest.approx(credit / 40)


def test_constant_embeddings_have_no_neighbors_to_learn_from() -> None:
    labels = torch.from_numpy(image_set().labels)  # 18 classes of 5

    accuracy = leave_one_out_accuracy(torch.ones(90, 4), labels, neighbors=5)

    # The item's own class has one vote less than the others, which share the first place.
    assert accuracy == 0.0
