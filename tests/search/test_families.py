"""Fair shares of device-seconds."""

import pytest
from reports import report

from tripletune.search.families import Families
from tripletune.search.records import TrialRecord
from tripletune.spaces import Recipe, Space, Value

SPACE = Space.from_text(
    """
encoder: {embedding_dim: {choice: [8, 16]}}
objective:
  one_of:
    hard: {loss: {name: triplet}, miner: {name: batch_hard}}
    soft: {loss: {name: triplet, margin: {uniform: [0.1, 0.5]}}, miner: {name: semi_hard}}
    supcon: {loss: {name: supcon}}
    nt_xent: {loss: {name: nt_xent, temperature: {log_uniform: [0.05, 0.5]}}}
""",
    origin="toy",
)
COSTS = {"triplet": 1.0, "supcon": 4.0, "nt_xent": 2.0}
SCORES = {"triplet": 0.5, "supcon": 0.6, "nt_xent": 0.7}


def recipe_of(given: dict[str, Value]) -> Recipe:
    return SPACE.build(lambda name, distribution: given.get(name, distribution.middle))


def hand_out(num_trials: int) -> tuple[list[str], dict[str, float]]:
    """Families in the order of their trials, each over at once, and the seconds of each."""
    families = Families.of(SPACE, "objective.loss.name")
    records: list[TrialRecord] = []
    seconds = dict.fromkeys(COSTS, 0.0)
    for number in range(num_trials):
        recipe = recipe_of(dict(families.next(records, num_trials)))
        name = recipe.objective.loss.name
        ended = report(18, SCORES[name], seconds=COSTS[name])
        records.append(TrialRecord(number, "complete", recipe, (ended,), 1, None))
        seconds[name] += COSTS[name]
    return [one.recipe.objective.loss.name for one in records], seconds


def test_first_half_gives_every_family_the_same_seconds_whatever_a_trial_costs() -> None:
    names, _ = hand_out(80)

    spent = {name: names[:40].count(name) * cost for name, cost in COSTS.items()}
    assert max(spent.values()) - min(spent.values()) <= max(COSTS.values())


def test_rest_goes_to_what_scored_best() -> None:
    names, seconds = hand_out(200)

    assert set(names[100:110]) == {"nt_xent"}
    assert seconds["nt_xent"] == pytest.approx(2 * seconds["supcon"], rel=0.1)
    assert seconds["supcon"] > seconds["triplet"]


def test_two_branches_of_one_family_take_turns() -> None:
    families = Families.of(SPACE, "objective.loss.name")

    assert families.parameter == "objective"
    assert families.options["triplet"] == ["hard", "soft"]


def test_running_trials_count_before_their_first_report() -> None:
    families = Families.of(SPACE, "objective.loss.name")
    running: list[TrialRecord] = []
    for number in range(3):
        recipe = recipe_of(dict(families.next(running, 100)))
        running.append(TrialRecord(number, "running", recipe, (), 1, None))

    assert {one.recipe.objective.loss.name for one in running} == set(COSTS)


def test_plain_choice_is_a_family_too() -> None:
    families = Families.of(SPACE, "encoder.embedding_dim")

    assert families.parameter == "encoder.embedding_dim"
    assert dict(families.options) == {8: [8], 16: [16]}


@pytest.mark.parametrize("path", ["objective.loss.margin", "objective.los", "batch.classes"])
def test_key_that_no_choice_decides_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=f"--stratify must name a key .* got {path}; choices are"):
        Families.of(SPACE, path)
