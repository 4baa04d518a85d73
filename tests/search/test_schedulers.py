"""ASHA that goes on after an interruption as if there had been none."""

import itertools
import random
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from reports import report

from tripletune.search.ray_trial import NUMBER, STEP
from tripletune.search.records import TrialRecord
from tripletune.search.rungs import grace_steps
from tripletune.search.schedulers import ResumableASHA, build_scheduler
from tripletune.spaces import Recipe

BUDGET, EVERY = 90, 10
METRIC = "one_shot_accuracy"
RECIPE = Recipe.model_validate({"objective": {"loss": {"name": "supcon", "temperature": 0.1}}})


class Race:
    """Trials that report in turn, two at a time, to a scheduler that may be replaced."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.records: dict[int, TrialRecord] = {}
        self.decisions: list[tuple[int, int, str]] = []
        self._ids = itertools.count()
        self.scheduler = self._scheduler()

    def run(self, num_events: int, interrupt_after: set[int]) -> None:
        waiting = iter(range(100))
        running = [self._add(next(waiting)), self._add(next(waiting))]
        for event in range(num_events):
            if event in interrupt_after:
                self.scheduler = self._scheduler()
                running = [self._add(trial.config[NUMBER]) for trial in running]
            trial = running.pop(self.random.randrange(len(running)))
            if self._report(trial) == TrialScheduler.CONTINUE:
                running.append(trial)
            else:
                running.append(self._add(next(waiting)))

    def _scheduler(self) -> ResumableASHA:
        scheduler = build_scheduler(
            "asha", max_steps=BUDGET, report_every=EVERY, past=tuple(self.records.values())
        )
        assert isinstance(scheduler, ResumableASHA)
        return scheduler

    def _add(self, number: int) -> SimpleNamespace:
        trial = SimpleNamespace(config={NUMBER: number}, trial_id=f"tune{next(self._ids)}")
        self.records.setdefault(number, TrialRecord(number, "running", RECIPE, (), 1, None))
        self.scheduler.on_trial_add(None, trial)  # type: ignore[arg-type]
        return trial

    def _report(self, trial: SimpleNamespace) -> str:
        record = self.records[trial.config[NUMBER]]
        step = EVERY * (len(record.reports) + 1)
        accuracy = self.random.random()
        result = {STEP: step, METRIC: accuracy}
        decision = self.scheduler.on_trial_result(None, trial, result)
        self.records[record.number] = TrialRecord(
            record.number, "running", RECIPE, (*record.reports, report(step, accuracy)), 1, None
        )
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(None, trial, result)
        self.decisions.append((record.number, step, decision))
        return decision


@pytest.mark.parametrize("seed", range(5))
def test_interrupted_race_decides_like_the_uninterrupted_one(seed: int) -> None:
    whole, interrupted = Race(seed), Race(seed)

    whole.run(150, interrupt_after=set())
    interrupted.run(150, interrupt_after={7, 40, 41, 99})

    assert interrupted.decisions == whole.decisions
    stopped = [step for _, step, decision in whole.decisions if decision == TrialScheduler.STOP]
    assert {10, 30, 90} <= set(stopped)  # every rung decided something, so the test can fail


def test_rungs_that_are_not_filled_again_decide_differently() -> None:
    """What Tune's own scheduler does after a restart, and why ours is told the past."""
    whole, forgetful = Race(0), Race(0)
    forgetful._scheduler = lambda: build_scheduler(  # type: ignore[method-assign,assignment,return-value]
        "asha", max_steps=BUDGET, report_every=EVERY, past=()
    )

    whole.run(150, interrupt_after=set())
    forgetful.run(150, interrupt_after={7, 40, 41, 99})

    assert forgetful.decisions != whole.decisions


def test_first_trial_at_a_rung_goes_on_and_a_worse_one_is_stopped() -> None:
    race = Race(0)
    first, second = race._add(0), race._add(1)

    decisions = [
        race.scheduler.on_trial_result(None, trial, {STEP: 10, METRIC: accuracy})
        for trial, accuracy in ((first, 0.6), (second, 0.5))
    ]

    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_failed_result_is_not_judged() -> None:
    race = Race(0)
    trial = race._add(0)

    assert race.scheduler.on_trial_result(None, trial, {}) == TrialScheduler.CONTINUE
    race.scheduler.on_trial_complete(None, trial, {})


@pytest.mark.parametrize(
    ("max_steps", "report_every", "rung"),
    [(300, 50, 50), (270, 10, 10), (10, 10, 10), (600, 7, 28)],
)
def test_first_rung_is_a_27th_of_the_budget_at_a_report(
    max_steps: int, report_every: int, rung: int
) -> None:
    assert grace_steps(max_steps, report_every) == rung


def test_scheduler_none_stops_nothing() -> None:
    scheduler = build_scheduler("none", max_steps=10, report_every=1, past=())

    assert isinstance(scheduler, FIFOScheduler)
