"""The models of a study that no other one beats."""

from reports import report
from toy import recipe

from tripletune.search.pareto import all_models, model_name, pareto_front
from tripletune.search.records import TrialRecord
from tripletune.spaces import Conv4


def record(number: int, dim: int, accuracy: float, **sizes: float) -> TrialRecord:
    made = recipe(encoder=Conv4(width=8, embedding_dim=dim))
    curve = {name.removeprefix("dim"): [one, one - 0.1, one + 0.1] for name, one in sizes.items()}
    last = report(12, accuracy, sizes=curve)
    return TrialRecord(number, "complete", made, (last,), 1, None)


RECORDS = [
    record(0, 64, 0.80, dim8=0.50, dim32=0.79),
    record(1, 32, 0.78, dim8=0.55),
    record(2, 16, 0.60),
]


def names(models: list[TrialRecord]) -> list[str]:
    return [model_name(model) for model in models]


def test_a_trial_gives_its_whole_model_and_its_leading_dimensions() -> None:
    whole, eight, thirty_two = all_models(RECORDS[:1])
    assert names([whole, eight, thirty_two]) == ["trial-0", "trial-0-dim-8", "trial-0-dim-32"]
    assert (eight.embedding_dim, eight.reports[-1].one_shot_accuracy) == (8, 0.50)


def test_the_front_holds_what_no_other_beats() -> None:
    same = dict.fromkeys((0, 1, 2), 1000)
    front = ["trial-1-dim-8", "trial-2", "trial-0-dim-32", "trial-0"]
    assert names(pareto_front(all_models(RECORDS), same)) == front
    # A network of a tenth of the weights is on it although a larger one is better.
    small = {0: 1000, 1: 100, 2: 1000}
    assert "trial-1" in names(pareto_front(all_models(RECORDS), small))


def test_of_equal_models_the_front_holds_one() -> None:
    models = all_models([record(0, 32, 0.7), record(1, 32, 0.7)])
    assert names(pareto_front(models, {0: 5, 1: 5})) == ["trial-0"]
