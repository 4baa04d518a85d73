import copy
from typing import Any

import jsonschema
import pytest

from tripletune.spaces import TASKS, Space, preset_names, space_schema
from tripletune.spaces.source import read_source

VALIDATOR = jsonschema.Draft202012Validator(space_schema())
TRIPLET: dict[str, Any] = {"objective": {"loss": {"name": "triplet"}}}


def test_the_schema_is_valid_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(space_schema())


@pytest.mark.parametrize("name", preset_names())
def test_presets_validate_and_a_typo_in_one_does_not(name: str) -> None:
    data: dict[str, Any] = read_source(Space.load(name).text, name).data
    VALIDATOR.validate(data)
    for section in {"batch", "objective", "encoder"} & data.keys():
        wrong = copy.deepcopy(data)
        wrong[section]["clases"] = 3
        assert not VALIDATOR.is_valid(wrong)
    wrong = copy.deepcopy(data)
    if TASKS[data.get("task", {}).get("name", "supervised")].has_own_loss:
        return
    inner = wrong if "objective" in wrong else next(iter(wrong["one_of"].values()))
    objective = inner["objective"]
    branches = objective.get("one_of", {"the only": objective})
    next(iter(branches.values()))["loss"]["margn"] = 3
    assert not VALIDATOR.is_valid(wrong)


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({}, True),
        ({"batch": {"classes": {"int": [8, 64], "step": 8}}}, True),
        ({"batch": {"classes": {"uniform": [8, 64]}}}, False),
        ({"batch": {"draw": {"choice": ["any", "within_group"]}}}, True),
        ({"batch": {"draw": {"choice": ["any", "within"]}}}, False),
        ({"budget": {"steps": {"int": [8, 64]}}}, False),
        ({"budget": {"one_of": {"a": {"steps": 8}}}}, False),
        ({"data": {"image_size": {"choice": [28, 35]}}}, True),
        ({"data": {"image_size": {"int": [28, 35]}}}, False),
        ({"encoder": {"one_of": {"a": {"name": "conv4"}, "b": {"name": "resnet18"}}}}, True),
        ({"encoder": {"name": {"choice": ["conv4", "resnet18"]}}}, True),
        ({"one_of": {"a": {"batch": {"classes": 8}}, "b": {"batch": {"clases": 8}}}}, False),
        ({"optimizer": {"gradient_clip": {"choice": [None, 1.0]}}}, True),
        (
            {"objective": {"loss": {"name": "sigmoid_pair", "bias": {"choice": ["auto", -3.0]}}}},
            True,
        ),
    ],
)
def test_distributions_and_one_of_stand_where_a_space_may_search(
    change: dict[str, Any], is_valid: bool
) -> None:
    assert VALIDATOR.is_valid({**TRIPLET, **change}) == is_valid


def test_attributes_are_described_from_their_docstrings() -> None:
    recipe = space_schema()["$defs"]
    assert isinstance(recipe, dict)
    batch: Any = recipe["batch"]
    text = "K, images of each; at least 2, or no anchor would have a positive."
    assert batch["properties"]["samples"]["description"] == text
