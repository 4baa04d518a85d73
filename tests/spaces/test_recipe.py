from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tripletune.spaces import (
    LOSSES,
    MINERS,
    RECORDS,
    Conv4,
    DataConfig,
    MinerConfig,
    MinerName,
    ObjectiveConfig,
    OptimizerConfig,
    Recipe,
    SpaceError,
    SupCon,
    Triplet,
    numbers_of,
    recipe_from_yaml,
    recipe_to_yaml,
    render_losses,
    render_losses_page,
)


def test_facts_name_exactly_the_losses_and_miners_of_the_recipe() -> None:
    assert list(LOSSES) == list(RECORDS)
    assert set(MINERS) == set(get_args(MinerName))
    for facts in LOSSES.values():
        assert set(facts.miners) <= set(MINERS)


def test_every_miner_but_none_goes_with_a_loss() -> None:
    heard = {miner for facts in LOSSES.values() for miner in facts.miners}
    assert heard == set(MINERS)


@pytest.mark.parametrize("name", LOSSES)
def test_facts_say_what_a_loss_may_choose(name: str) -> None:
    facts, fields = LOSSES[name], RECORDS[name].model_fields
    allowed = get_args(fields["distance"].annotation) if "distance" in fields else ()
    assert facts.distances == allowed
    assert facts.has_proxies is (RECORDS[name].__module__.endswith(".proxy"))


def roomy(name: str) -> dict[str, float]:
    """Neighbours of a number that leave it its whole range."""
    return {
        "two_margin_contrastive": {"margin": 1.0, "positive_margin": 0.0},
        "margin": {"margin": 0.02, "beta": 1.5},
        "ranked_list": {"boundary": 1.5, "margin": 0.1},
    }.get(name, {})


@pytest.mark.parametrize("name", LOSSES)
def test_every_number_of_a_loss_has_a_unit_and_a_usual_range(name: str) -> None:
    record = RECORDS[name]
    numeric = {
        key for key, field in record.model_fields.items() if field.annotation in (int, float)
    }
    numbers = numbers_of(record)
    assert set(numbers) == numeric
    for key, number in numbers.items():
        for corner in number.usual.corners:
            record.model_validate({"name": name, **roomy(name), key: corner})


@pytest.mark.parametrize("name", LOSSES)
def test_a_miner_left_out_is_the_usual_one_of_the_loss(name: str) -> None:
    objective = ObjectiveConfig.model_validate({"loss": {"name": name}})
    assert objective.miner.name == LOSSES[name].miners[0]
    has_choice = "unit_norm" in RECORDS[name].model_fields
    assert objective.unit_norm == (objective.loss.model_dump().get("unit_norm", not has_choice))


def test_losses_fit_a_terminal_of_80_columns() -> None:
    table = render_losses()
    assert max(map(len, table.splitlines())) <= 80
    numbers = [key for record in RECORDS.values() for key in numbers_of(record)]
    assert all(name in table for name in [*LOSSES, *MINERS, *numbers])


def test_the_page_of_the_docs_is_printed_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "losses.md"
    assert page.read_text() == render_losses_page(), (
        "run: tripletune describe --losses --markdown > docs/losses.md"
    )


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
        (
            {"objective": {"loss": {"name": "triplet", "distance": "cosine", "unit_norm": False}}},
            "loss.unit_norm must be true with distance: cosine",
        ),
        (
            {"objective": {"loss": {"name": "two_margin_contrastive", "positive_margin": 1.5}}},
            "positive_margin must be < margin",
        ),
        (
            {"objective": {"loss": {"name": "margin", "margin": 0.5, "beta": 0.4}}},
            "margin must be < beta",
        ),
        (
            {"objective": {"loss": {"name": "ranked_list", "margin": 1.3}}},
            "margin must be < boundary",
        ),
        (
            {"objective": {"loss": {"name": "prototypical", "shots": 4}}},
            "objective.loss.shots must be < batch.samples",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "schedule": {"second_miner": "multi_similarity"},
                }
            },
            "schedule.second_miner must be one of semi_hard",
        ),
        (
            {"objective": {"loss": {"name": "triplet"}, "schedule": {"third_miner": "hard"}}},
            "third_miner must come after a second_miner",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "schedule": {
                        "second_miner": "semi_hard",
                        "third_miner": "hard",
                        "third_from": 0.2,
                    },
                }
            },
            "third_from must be > second_from",
        ),
        (
            {"objective": {"loss": {"name": "supcon"}, "schedule": {"final_margin": 0.3}}},
            "schedule.final_margin counts only with a loss that has a margin",
        ),
        (
            {"objective": {"loss": {"name": "arcface"}, "schedule": {"final_margin": 0.3}}},
            "schedule.final_margin counts only with a loss that has a margin",
        ),
        (
            {"objective": {"loss": {"name": "triplet"}, "schedule": {"final_margin": 2.0}}},
            "schedule.final_margin must be < 2",
        ),
        (
            {"objective": {"loss": {"name": "angular"}, "memory": {"size": 512}}},
            "memory.size must be 0 with loss angular",
        ),
        (
            {"objective": {"loss": {"name": "supcon"}, "memory": {"size": 100}}},
            "objective.memory.size must be 0, or at least batch.classes x batch.samples",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "miner": {"name": "mixed"},
                    "memory": {"size": 512},
                }
            },
            "memory.size must be 0 with miner mixed",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "miner": {"name": "mixed", "scope": "bank"},
                    "schedule": {"second_miner": "hard"},
                }
            },
            "schedule.second_miner must be null with miner.scope: bank",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "miner": {"name": "batch_hard", "scope": "bank"},
                    "memory": {"size": 512},
                }
            },
            "memory.size must be 0 with miner.scope: bank",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "miner": {"name": "batch_hard", "scope": "bank"},
                },
                "batch": {"rotations_as_classes": True},
            },
            "batch.rotations_as_classes must be false with objective.miner.scope: bank",
        ),
        (
            {
                "objective": {
                    "loss": {"name": "triplet"},
                    "miner": {"name": "all", "scope": "bank"},
                }
            },
            "scope must be batch with miner all",
        ),
        (
            {"objective": {"loss": {"name": "triplet"}, "miner": {"name": "all", "refresh": 5}}},
            "refresh counts only with scope: bank",
        ),
        (
            {"objective": {"loss": {"name": "triplet"}, "miner": {"name": "all", "epsilon": 0.3}}},
            "epsilon counts only with miner multi_similarity",
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
