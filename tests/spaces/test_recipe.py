from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tripletune.spaces import (
    LOSSES,
    MINERS,
    Conv4,
    DataConfig,
    LossConfig,
    MinerConfig,
    MinerName,
    ObjectiveConfig,
    OptimizerConfig,
    Recipe,
    SpaceError,
    SupCon,
    Triplet,
    recipe_from_yaml,
    recipe_to_yaml,
    render_losses,
)

RECORDS = {
    record.model_fields["name"].default: record for record in get_args(get_args(LossConfig)[0])
}


def test_facts_name_exactly_the_losses_and_miners_of_the_recipe() -> None:
    assert set(LOSSES) == set(RECORDS)
    assert set(MINERS) == set(get_args(MinerName))
    for facts in LOSSES.values():
        assert set(facts.miners) <= set(MINERS)


@pytest.mark.parametrize("name", LOSSES)
def test_facts_say_which_numbers_a_loss_has(name: str) -> None:
    facts, fields = LOSSES[name], RECORDS[name].model_fields
    assert facts.has_margin == ("margin" in fields)
    assert facts.has_temperature == ("temperature" in fields)
    assert facts.has_bias == ("bias" in fields)
    assert facts.has_distance == ("distance" in fields) == ("unit_norm" in fields)


@pytest.mark.parametrize("name", LOSSES)
def test_a_miner_left_out_is_the_usual_one_of_the_loss(name: str) -> None:
    objective = ObjectiveConfig.model_validate({"loss": {"name": name}})
    assert objective.miner.name == LOSSES[name].miners[0]
    has_choice = "unit_norm" in RECORDS[name].model_fields
    assert objective.unit_norm == (objective.loss.model_dump().get("unit_norm", not has_choice))


def test_losses_fit_a_wide_terminal() -> None:
    table = render_losses()
    assert max(map(len, table.splitlines())) <= 100
    assert all(name in table for name in [*LOSSES, "margin", "temperature", "bias"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": {"loss": {"name": "triplet", "margin": 2.0}}}, "loss.margin must be < 2"),
        (
            {
                "objective": {
                    "loss": {"name": "triplet", "distance": "squared_euclidean", "margin": 4.0}
                }
            },
            "loss.margin must be < 4",
        ),
        ({"objective": {"loss": {"name": "soft_triplet", "unit_norm": True}}}, "must be false"),
        (
            {"objective": {"loss": {"name": "supcon"}, "miner": {"name": "all"}}},
            "miner.name must be none with loss supcon, got 'all'; write none",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet", "unit_norm": False},
                    "miner": {"name": "distance_weighted"},
                }
            },
            "must not be distance_weighted without unit_norm: true",
        ),
        (
            {
                "objective": {"loss": {"name": "triplet"}, "miner": {"name": "distance_weighted"}},
                "encoder": {"embedding_dim": 3},
            },
            "encoder.embedding_dim must be >= 4 with miner distance_weighted",
        ),
        ({"batch": {"groups": 2}}, "groups counts only with draw: within_group"),
        ({"batch": {"samples": 1}}, "greater than or equal to 2"),
        ({"budget": {"steps": 10, "report_every": 11}}, "report_every must be <= steps"),
        ({"data": {"path": "here"}}, "path belongs to the data sets folder and omniglot"),
        ({"data": {"name": "folder"}}, "path must be given with the data set folder"),
        ({"data": {"split": {"validation": 0.6, "test": 0.4}}}, "must be < 1 together with test"),
        (
            {"batch": {"rotations_as_classes": True}, "augment": {"degrees": 45.0}},
            "augment.degrees must be < 45 with batch.rotations_as_classes",
        ),
    ],
)
def test_values_that_cannot_train_together_are_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate({"objective": {"loss": {"name": "triplet"}}, **change})


def test_an_encoder_without_a_name_is_the_default_one() -> None:
    recipe = Recipe.model_validate(
        {"objective": {"loss": {"name": "supcon"}}, "encoder": {"embedding_dim": 8}}
    )
    assert recipe.encoder == Conv4(embedding_dim=8)


def test_the_digest_leaves_out_where_the_data_lie_and_nothing_else() -> None:
    def digest(path: str, seed: int) -> str:
        objective = ObjectiveConfig(loss=SupCon())
        return Recipe(
            data=DataConfig(name="folder", path=path), objective=objective, seed=seed
        ).digest

    assert digest("/here", 0) == digest("/there", 0) != digest("/here", 1)


@settings(deadline=None, max_examples=40)
@given(
    margin=st.floats(0.0, 2.0, exclude_min=True, exclude_max=True),
    rate=st.floats(0.0, 1.0, exclude_min=True),
    decay=st.floats(0.0, 1.0),
    path=st.text(st.characters(codec="utf-8"), min_size=1),
    seed=st.integers(min_value=0),
)
def test_a_recipe_reads_back_to_the_last_bit(
    margin: float, rate: float, decay: float, path: str, seed: int
) -> None:
    recipe = Recipe(
        data=DataConfig(name="folder", path=path),
        objective=ObjectiveConfig(loss=Triplet(margin=margin), miner=MinerConfig(name="all")),
        optimizer=OptimizerConfig(learning_rate=rate, weight_decay=decay),
        seed=seed,
    )
    assert recipe_from_yaml(recipe_to_yaml(recipe), "recipe.yaml") == recipe


def test_a_recipe_with_something_to_choose_is_refused() -> None:
    text = "objective: {loss: {name: triplet, margin: {uniform: [0.1, 0.2]}}}\n"
    with pytest.raises(SpaceError, match=r"r\.yaml: objective\.loss\.margin: must be fixed in a "):
        recipe_from_yaml(text, "r.yaml")


def test_a_wrong_recipe_is_refused_with_its_line() -> None:
    text = "seed: 1\nobjective:\n  loss: {name: triplet}\n  miner: {name: none}\n"
    with pytest.raises(
        SpaceError, match=r"r\.yaml:4: objective\.miner\.name: must be one of semi"
    ):
        recipe_from_yaml(text, "r.yaml")
