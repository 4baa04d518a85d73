"""Points of a space: what a search tries first."""

import jsonschema
import pytest
from ruamel.yaml import YAML

from tripletune.spaces import Point, Space, SpaceError, fitting, space_schema

TEXT = """
objective:
  one_of:
    triplet: {loss: {name: triplet, margin: {uniform: [0.1, 0.5]}}}
    supcon: {loss: {name: supcon, temperature: {log_uniform: [0.05, 0.5]}}}
optimizer: {learning_rate: {log_uniform: [1e-3, 1e-2]}}
points:
  - {objective: supcon, objective.supcon.loss.temperature: 0.07}
  - {optimizer.learning_rate: 0.002}
"""
SPACE = Space.from_text(TEXT, origin="toy.yaml")


def test_points_are_read_and_no_part_of_recipes() -> None:
    assert [dict(point) for point in SPACE.points] == [
        {"objective": "supcon", "objective.supcon.loss.temperature": 0.07},
        {"optimizer.learning_rate": 0.002},
    ]
    assert (
        SPACE.build(lambda _, distribution: distribution.middle).objective.loss.name == "triplet"
    )
    assert Space.from_text(SPACE.text, origin="toy.yaml") == SPACE


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("{objective: supcon}", "toy.yaml:7: points: must be a list of mappings, got"),
        ("[{objective: arcface}]", r"points.0.objective: must be drawn from triplet \| supcon"),
        ("[{optimizer.lr: 0.1}]", "points.0.optimizer.lr: must be a searched parameter, got no"),
        ("[{optimizer.learning_rate: 1.0}]", "must be drawn from 0.001 to 0.01, log scale, got 1"),
    ],
)
def test_point_that_cannot_be_drawn_is_refused(points: str, message: str) -> None:
    text = TEXT.partition("points:")[0] + f"points: {points}\n"

    with pytest.raises(SpaceError, match=message):
        Space.from_text(text, origin="toy.yaml")


def test_fixed_values_leave_their_points() -> None:
    assert SPACE.with_values({"optimizer.learning_rate": 0.005}).points == (SPACE.points[0],)
    assert SPACE.with_values({"objective": "triplet"}).points == (SPACE.points[1],)


def test_points_of_another_space_come_along_as_far_as_they_fit() -> None:
    other: Point = {
        "objective": "supcon",
        "objective.supcon.loss.temperature": 0.3,
        "optimizer.learning_rate": 0.1,
        "batch.samples": 4,
    }
    foreign: Point = {"objective": "arcface", "optimizer.learning_rate": 0.005}

    warmed = SPACE.with_points([other, foreign, SPACE.points[0]])

    assert warmed.points[2:] == (
        {"objective": "supcon", "objective.supcon.loss.temperature": 0.3},
    )
    assert fitting(foreign, SPACE.parameters()) == {}


def test_schema_knows_points() -> None:
    schema = space_schema()
    jsonschema.validate(YAML(typ="safe").load(TEXT), schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"points": [{"objective": ["supcon"]}]}, schema)
