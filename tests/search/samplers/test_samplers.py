"""The contract of a sampler, for every one of the registry."""

import random
from collections.abc import Iterator
from typing import Any, get_args

import optuna
import pytest
from optuna.trial import TrialState

from tripletune.search.options import SamplerName
from tripletune.search.samplers import SAMPLERS, SpaceExhausted, build_sampler
from tripletune.search.samplers.draft import key_of, optuna_distribution
from tripletune.search.samplers.seen import worth_reading
from tripletune.spaces import Distribution, Space, Value

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SPACE = Space.from_text(
    """
encoder: {embedding_dim: {choice: [8, 16]}}
objective:
  one_of:
    triplet:
      loss: {name: triplet, margin: {uniform: [0.1, 0.5]}}
      miner: {name: {choice: [all, semi_hard]}}
    supcon:
      loss: {name: supcon, temperature: {log_uniform: [0.05, 0.5]}}
batch: {classes: {int: [4, 12], step: 4}}
optimizer: {learning_rate: {log_uniform: [1e-3, 1e-2]}}
""",
    origin="toy",
)
FINITE = Space.from_text(
    """
encoder: {embedding_dim: {choice: [8, 16]}}
objective:
  one_of:
    triplet: {loss: {name: triplet}, miner: {name: {choice: [all, semi_hard]}}}
    supcon: {loss: {name: supcon}}
""",
    origin="finite",
)
NUM_FINITE = 2 * (2 + 1)
NUM_TRIALS = 12  # a few more than the start-up; a Gaussian process takes its time


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def make_study(name: SamplerName, space: Space = SPACE, seed: int = 0) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=build_sampler(name, space, seed))


def ask(study: optuna.Study, space: Space = SPACE) -> optuna.Trial:
    trial = study.ask()

    def choose(name: str, distribution: Distribution) -> Value:
        value: Value = trial._suggest(name, optuna_distribution(distribution))  # type: ignore[no-untyped-call, unused-ignore]
        return value

    space.build(choose)  # raises where the recipe is none of the space
    return trial


def score(trial: optuna.Trial) -> float:
    """Best at a small learning rate."""
    return 1.0 - float(trial.params["optimizer.learning_rate"]) * 100.0


def run(study: optuna.Study, num_trials: int) -> list[dict[str, Any]]:
    for _ in range(num_trials):
        trial = ask(study)
        study.tell(trial, score(trial))
    return [trial.params for trial in study.trials]


def test_registry_holds_what_the_options_name() -> None:
    assert set(SAMPLERS) == set(get_args(SamplerName))


@pytest.mark.parametrize("name", SAMPLERS)
def test_recipes_are_of_the_space_and_none_comes_twice(name: SamplerName) -> None:
    params = run(make_study(name), NUM_TRIALS)

    assert len({key_of(values) for values in params}) == NUM_TRIALS
    assert {values["objective"] for values in params} == {"triplet", "supcon"}
    for values in params:
        is_triplet = values["objective"] == "triplet"
        assert ("objective.triplet.loss.margin" in values) == is_triplet
        assert ("objective.supcon.loss.temperature" in values) != is_triplet


@pytest.mark.parametrize("name", SAMPLERS)
def test_resumed_study_draws_what_an_uninterrupted_one_does(name: SamplerName) -> None:
    whole = make_study(name)
    run(whole, NUM_TRIALS)
    for cut in (3, NUM_TRIALS - 2):
        resumed = make_study(name)
        for trial in whole.trials[:cut]:
            resumed.add_trial(trial)

        run(resumed, NUM_TRIALS - cut)

        assert [t.params for t in resumed.trials] == [t.params for t in whole.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_seed_decides(name: SamplerName) -> None:
    first, other = (run(make_study(name, seed=seed), 3) for seed in (0, 1))

    assert first != other


@pytest.mark.parametrize("name", [name for name, facts in SAMPLERS.items() if facts.ignores_order])
def test_order_of_finishing_does_not_matter_where_it_is_promised(name: SamplerName) -> None:
    def shuffled(seed: int) -> list[dict[str, Any]]:
        study, shuffle = make_study(name), random.Random(seed)
        running: list[optuna.Trial] = []
        for _ in range(20):
            running.append(ask(study))
            if len(running) == 4:
                trial = running.pop(shuffle.randrange(4))
                study.tell(trial, score(trial))
        return [trial.params for trial in study.trials]

    assert shuffled(0) == shuffled(1) == run(make_study(name), 20)


@pytest.mark.parametrize("name", SAMPLERS)
def test_space_that_is_tried_through_ends_the_search(name: SamplerName) -> None:
    study = make_study(name, FINITE)
    for _ in range(NUM_FINITE):
        study.tell(ask(study, FINITE), 0.5)

    with pytest.raises(SpaceExhausted, match=f"the {NUM_FINITE} trials have all that the space"):
        ask(study, FINITE)


def test_start_up_is_counted_by_trials_begun_not_by_trials_over() -> None:
    """Twelve workers at once; the ninth trial is the model's, whoever is still running."""
    slow, even = make_study("tpe"), make_study("qmc")
    for number in range(8):
        trial = ask(slow)
        assert trial.params == ask(even).params
        if number < 3:
            slow.tell(trial, score(trial))

    assert ask(slow).params != ask(even).params


def test_points_of_qmc_cover_every_branch_evenly() -> None:
    params = run(make_study("qmc"), 64)

    num_triplet = sum(values["objective"] == "triplet" for values in params)
    margins = sorted(v["objective.triplet.loss.margin"] for v in params if len(v) == 6)
    assert num_triplet == 32
    assert sum(margin < 0.3 for margin in margins) in range(13, 20)


def test_given_values_stay_and_the_rest_is_drawn() -> None:
    study = make_study("tpe")
    study.enqueue_trial({"objective": "supcon", "optimizer.learning_rate": 0.005})

    trial = ask(study)

    assert trial.params["objective"] == "supcon"
    assert trial.params["optimizer.learning_rate"] == 0.005
    assert 0.05 <= trial.params["objective.supcon.loss.temperature"] <= 0.5


def test_large_study_is_read_in_part_with_its_best_in_it() -> None:
    study = make_study("random")
    run(study, 60)
    running, failed = ask(study), ask(study)
    study.tell(failed, state=TrialState.FAIL)
    own = ask(study)

    seen = worth_reading(study.trials, own.number, max_read=20)

    over = [trial for trial in seen if trial.state == TrialState.COMPLETE]
    by_value = sorted(study.trials[:60], key=lambda trial: -trial.value)  # type: ignore[operator]
    assert len(over) == 20
    assert {trial.number for trial in by_value[:5]} <= {trial.number for trial in over}
    assert [t.number for t in seen if t not in over] == [running.number, own.number]
    assert worth_reading(study.trials, own.number, max_read=100)[:60] == study.trials[:60]


def test_unknown_sampler_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"sampler must be one of tpe, random, .*got 'bayes'"):
        build_sampler("bayes", SPACE, 0)  # type: ignore[arg-type]
