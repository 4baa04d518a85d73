"""The contract of a space: every preset keeps it; a new one is tested by lying in presets/."""

import pickle
import random
from collections.abc import Callable

import pytest

from tripletune.spaces import (
    Choice,
    Distribution,
    Int,
    Space,
    Value,
    preset_names,
    recipe_from_yaml,
    recipe_to_yaml,
    render_tree,
)

ALL_LOSSES = {
    "contrastive",
    "triplet",
    "supcon",
    "nt_xent",
    "soft_nearest_neighbor",
    "sigmoid_pair",
}
ALL_PARAMETERS = {
    "objective",
    "objective.triplet.loss.margin",
    "objective.triplet.miner.name",
    "objective.sigmoid_pair.loss.bias",
    "encoder.embedding_dim",
    "optimizer.learning_rate",
    "optimizer.weight_decay",
    "batch",
    "batch.classes",
    "batch.samples",
}
PROMISED = {
    "quickstart": (ALL_LOSSES, ALL_PARAMETERS),
    "omniglot": (ALL_LOSSES, ALL_PARAMETERS),
    "mushrooms": (
        {"triplet"},
        {"objective.miner.name", "objective.loss.margin", "encoder.embedding_dim"},
    ),
    "anomalies": (
        {"supcon"},  # plays no part: the task has a loss of its own
        {"task.variance_weight", "task.variance_target", "augment.series.jitter.deviation"},
    ),
    "dense": (
        {"supcon"},
        {"task.pixel_weight", "task.region_weight", "augment.crop.smallest"},
    ),
    "corrector": (
        {"contrastive", "soft_nearest_neighbor", "sigmoid_pair"},
        {"recipe", "encoder.variational", "encoder.head.hidden"},
    ),
    "corrector_synthetic": (
        {"contrastive", "soft_nearest_neighbor", "sigmoid_pair"},
        {"recipe", "encoder.head.hidden"},
    ),
    "time_series": (
        {"nt_xent", "triplet", "contrastive"},
        {"objective", "augment.series.jitter.deviation", "encoder.head.pool"},
    ),
    "unsupervised": (
        {"nt_xent", "triplet", "contrastive", "sigmoid_pair"},
        {"objective", "augment", "augment.pixels.dropout.share", "task.first_view"},
    ),
}
"""Losses and parameters of each preset; a new one joins with its row."""

pytestmark = pytest.mark.parametrize("name", preset_names())


def drawing(seed: int) -> Callable[[str, Distribution], Value]:
    rng = random.Random(seed)

    def choose(name: str, distribution: Distribution) -> Value:
        if isinstance(distribution, Choice):
            return rng.choice(distribution.values)
        if isinstance(distribution, Int):
            return rng.randrange(distribution.low, distribution.high + 1, distribution.step)
        return rng.uniform(distribution.low, distribution.high)

    return choose


def test_every_draw_is_a_recipe_that_reads_back_from_its_yaml(name: str) -> None:
    space = Space.load(name)
    for seed in range(20):
        recipe = space.build(drawing(seed))
        again = recipe_from_yaml(recipe_to_yaml(recipe), "recipe.yaml")
        assert again == recipe
        assert again.digest == recipe.digest


def test_text_reads_back_to_an_equal_space(name: str) -> None:
    space = Space.load(name)
    again = Space.from_text(space.text, f"elsewhere/{name}.yaml")
    assert again == space
    assert again.digest == space.digest


def test_pickles_to_an_equal_space(name: str) -> None:
    space = Space.load(name)
    assert pickle.loads(pickle.dumps(space)) == space


def test_build_asks_for_exactly_the_active_parameters_in_their_order(name: str) -> None:
    space = Space.load(name)
    parameters = space.parameters()
    assert len({parameter.name for parameter in parameters}) == len(parameters)
    for seed in range(50):
        asked: dict[str, Value] = {}
        draw = drawing(seed)

        def choose(
            name: str,
            distribution: Distribution,
            draw: Callable[[str, Distribution], Value] = draw,
            asked: dict[str, Value] = asked,
        ) -> Value:
            assert name not in asked
            asked[name] = draw(name, distribution)
            return asked[name]

        space.build(choose)
        active = [
            parameter.name
            for parameter in parameters
            if all(asked.get(other) == label for other, label in parameter.conditions)
        ]
        assert list(asked) == active


def test_data_configs_hold_the_data_of_every_draw(name: str) -> None:
    space = Space.load(name)
    configs = space.data_configs()
    assert len(set(configs)) == len(configs)
    assert {space.build(drawing(seed)).data for seed in range(50)} <= set(configs)


def test_searches_what_the_project_promises(name: str) -> None:
    space = Space.load(name)
    losses, parameters = PROMISED[name]
    assert {space.build(drawing(seed)).objective.loss.name for seed in range(200)} >= losses
    assert {parameter.name for parameter in space.parameters()} >= parameters


def test_tree_names_every_branch_and_fits_a_terminal(name: str) -> None:
    space = Space.load(name)
    tree = render_tree(space)
    assert max(map(len, tree.splitlines())) <= 80
    assert tree.startswith(f"{name}: {len(space.parameters())} parameters, ")
    for _, label in {c for parameter in space.parameters() for c in parameter.conditions}:
        assert label in tree
