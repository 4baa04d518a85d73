"""A space as the axes of a chart."""

from typing import Any

from tripletune.search.report.dimensions import dimensions, distinct
from tripletune.spaces import Space

SPACE = """
encoder:
  embedding_dim: {choice: [64, 16, 32]}
objective:
  one_of:
    triplet:
      loss: {name: triplet, margin: {log_uniform: [0.02, 0.5]}}
      miner: {name: {choice: [all, semi_hard]}}
    contrastive:
      loss: {name: contrastive, margin: {uniform: [0.2, 1.4]}}
      miner: {name: {choice: [all, distance_weighted]}}
batch:
  classes: 8
  one_of:
    wide: {samples: {int: [2, 4]}}
    narrow: {samples: 2}
"""


def axes(text: str = SPACE) -> dict[str, dict[str, Any]]:
    parameters = Space.from_text(text, origin="axes.yaml").parameters()
    return {axis["key"]: axis for axis in dimensions(parameters)}


def test_margins_of_two_branches_are_one_axis_that_spans_both() -> None:
    margin = axes()["objective.loss.margin"]
    assert margin["names"] == [
        "objective.triplet.loss.margin",
        "objective.contrastive.loss.margin",
    ]
    assert (margin["kind"], margin["low"], margin["high"]) == ("log", 0.02, 1.4)
    assert margin["label"] == "margin"


def test_choices_of_two_branches_are_one_axis_with_the_values_of_both() -> None:
    miner = axes()["objective.miner.name"]
    assert miner["kind"] == "choice"
    assert miner["choices"] == ["all", "semi_hard", "distance_weighted"]


def test_the_choice_of_a_branch_is_an_axis_of_its_labels() -> None:
    assert axes()["objective"]["choices"] == ["triplet", "contrastive"]
    assert axes()["batch"]["choices"] == ["wide", "narrow"]


def test_numbers_to_choose_from_stand_by_size() -> None:
    assert axes()["encoder.embedding_dim"]["choices"] == [16, 32, 64]


def test_whole_numbers_are_ticked_as_such() -> None:
    samples = axes()["batch.samples"]
    assert samples["names"] == ["batch.wide.samples"]
    assert samples["whole"] is True
    assert axes()["objective.loss.margin"]["whole"] is False


def test_labels_that_would_read_alike_are_written_out() -> None:
    labels = distinct(["objective.triplet.loss.margin", "optimizer.margin", "objective.margin"])
    assert labels == {
        "objective.triplet.loss.margin": "triplet margin",
        "optimizer.margin": "optimizer.margin",
        "objective.margin": "objective.margin",
    }
