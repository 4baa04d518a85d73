"""Several objectives: what is refused, and the front."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from reports import report

from tripletune.search.objectives import OBJECTIVES, front, front_line, told
from tripletune.search.options import OBJECTIVES as NAMES
from tripletune.search.options import SamplerName, SearchOptions
from tripletune.search.records import TrialRecord
from tripletune.search.samplers import build_sampler
from tripletune.spaces import Recipe, Space

SPACE = Space.from_text(
    """
encoder: {embedding_dim: {choice: [128, 64, 32, 16, 8]}}
objective: {loss: {name: supcon, temperature: {log_uniform: [0.05, 0.5]}}}
optimizer: {learning_rate: {log_uniform: [1e-3, 1e-2]}}
""",
    origin="toy",
)
BOTH = ("accuracy", "embedding_dim")


def record(number: int, dim: int, accuracy: float, **changes: object) -> TrialRecord:
    encoder = {"embedding_dim": dim}
    recipe = Recipe.model_validate({"encoder": encoder, "objective": {"loss": {"name": "supcon"}}})
    made = TrialRecord(number, "complete", recipe, (report(18, accuracy),), 1, None)
    return replace(made, **changes)  # type: ignore[arg-type]  # each test names its own


def test_names_of_the_options_are_those_that_can_be_weighed() -> None:
    assert set(NAMES) == set(OBJECTIVES)


def test_front_holds_what_no_other_trial_beats_in_everything() -> None:
    records = [
        record(0, 64, 0.80),
        record(1, 64, 0.81),
        record(2, 32, 0.81),
        record(3, 128, 0.90),
        record(4, 16, 0.70),
        record(5, 16, 0.95, state="pruned"),
        record(6, 8, 0.99, state="failed"),
    ]

    assert [one.number for one in front(records, BOTH)] == [3, 2, 4]
    assert front_line(records, BOTH) == (
        "front of accuracy, embedding_dim: "
        "trial 3 (0.9, 128); trial 2 (0.81, 32); trial 4 (0.7, 16)"
    )
    assert front_line([], BOTH).endswith("no complete trial yet")


@pytest.mark.parametrize(
    ("objectives", "scheduler", "message"),
    [
        (
            ("accuracy", "size"),
            "none",
            "objectives must be some of accuracy, .* got accuracy,size",
        ),
        (("embedding_dim",), "none", "objectives must hold accuracy, got embedding_dim"),
        (BOTH, "asha", "objectives beside accuracy need scheduler none, .* add --scheduler none"),
    ],
)
def test_objectives_that_cannot_be_weighed_are_refused(
    objectives: tuple[str, ...], scheduler: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SearchOptions(objectives=objectives, scheduler=scheduler)  # type: ignore[arg-type]


def test_sampler_of_one_objective_is_refused_with_several() -> None:
    with pytest.raises(ValueError, match="sampler must be tpe, nsga2, random or qmc with several"):
        SearchOptions(objectives=BOTH, scheduler="none", sampler="gp")


def test_options_of_an_older_study_weigh_accuracy() -> None:
    kept = SearchOptions(objectives=BOTH, scheduler="none").to_dict()

    assert SearchOptions.from_dict({**kept, "objectives": list(BOTH)}).objectives == BOTH
    assert SearchOptions.from_dict({"trials": 3}).objectives == ("accuracy",)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(("name", "num_trials"), [("tpe", 60), ("nsga2", 160)])
def test_samplers_find_both_ends_of_the_front(name: SamplerName, num_trials: int) -> None:
    """Accuracy grows with the size here, so that every size is on the front.

    Three in ten random learning rates are good ones.
    """
    study = optuna.create_study(direction="maximize", sampler=build_sampler(name, SPACE, 0, BOTH))
    for _ in range(num_trials):
        trial = study.ask()
        recipe = SPACE.build(
            lambda parameter, distribution, trial=trial: (  # type: ignore[misc]
                trial.suggest_categorical(parameter, distribution.values)
                if parameter == "encoder.embedding_dim"
                else trial.suggest_float(parameter, distribution.low, distribution.high, log=True)
            )
        )
        rate = trial.params["optimizer.learning_rate"]
        accuracy = recipe.encoder.embedding_dim / 256 + 0.3 * (rate < 2e-3)
        trial.set_user_attr("recipe", recipe.to_dict())
        trial.set_user_attr("report:00000018", report(18, accuracy).to_dict())
        study.tell(trial, accuracy)

    late = study.trials[-30:]
    assert {8, 128} <= {trial.params["encoder.embedding_dim"] for trial in late}
    assert sum(trial.params["optimizer.learning_rate"] < 2e-3 for trial in late) > 14


def test_stopped_trials_are_told_without_their_curve() -> None:
    """Optuna reads a curve as that of a single objective, and fails."""
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    trial.report(0.5, 2)
    study.tell(trial, state=TrialState.PRUNED)

    (seen,) = told(study.trials, BOTH)

    assert seen.intermediate_values == {}
    assert study.trials[0].intermediate_values == {2: 0.5}
