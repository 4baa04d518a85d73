"""The median rule, before and after an interruption."""

from types import SimpleNamespace

from ray.tune.schedulers import TrialScheduler
from reports import report

from tripletune.search.ray_trial import NUMBER, STEP
from tripletune.search.records import TrialRecord
from tripletune.search.schedulers import ResumableMedian, build_scheduler
from tripletune.spaces import Recipe

RECIPE = Recipe.model_validate({"objective": {"loss": {"name": "supcon", "temperature": 0.1}}})
METRIC = "one_shot_accuracy"


def make(past: tuple[TrialRecord, ...] = ()) -> ResumableMedian:
    scheduler = build_scheduler("median", max_steps=90, report_every=10, past=past)
    assert isinstance(scheduler, ResumableMedian)
    return scheduler


def tell(scheduler: ResumableMedian, number: int, step: int, accuracy: float) -> str:
    trial = SimpleNamespace(config={NUMBER: number}, trial_id=f"tune{number}")
    return scheduler.on_trial_result(None, trial, {STEP: step, METRIC: accuracy})


def test_trial_under_the_median_of_three_others_is_stopped() -> None:
    scheduler = make()
    for number, accuracy in enumerate((0.5, 0.6, 0.7)):
        assert tell(scheduler, number, 10, accuracy) == TrialScheduler.CONTINUE

    assert tell(scheduler, 3, 10, 0.61) == TrialScheduler.CONTINUE
    assert tell(scheduler, 4, 10, 0.59) == TrialScheduler.STOP


def test_past_of_the_study_counts_after_a_restart() -> None:
    past = tuple(
        TrialRecord(number, "complete", RECIPE, (report(10, accuracy),), 1, None)
        for number, accuracy in enumerate((0.5, 0.6, 0.7))
    )

    assert tell(make(), 3, 10, 0.55) == TrialScheduler.CONTINUE
    assert tell(make(past), 3, 10, 0.55) == TrialScheduler.STOP


def test_step_that_a_retry_repeats_is_not_judged_twice() -> None:
    scheduler = make()
    for number, accuracy in enumerate((0.5, 0.6, 0.7)):
        tell(scheduler, number, 10, accuracy)
        tell(scheduler, number, 20, accuracy)

    assert tell(scheduler, 0, 10, 0.1) == TrialScheduler.CONTINUE
    assert len(scheduler._results) == 3
