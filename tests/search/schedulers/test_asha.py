"""ASHA that goes on after an interruption as if there had been none."""

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from reports import report

from tripletune.search.ray_trial import EPISODE_SCORES, NUMBER, RESERVE_SCORES, STEP
from tripletune.search.records import TrialRecord
from tripletune.search.rungs import grace_steps
from tripletune.search.schedulers import PairedASHA, build_scheduler
from tripletune.search.schedulers.asha import VERDICT, Scores, bracket_of
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

    def tell(self, trial: SimpleNamespace, step: int, accuracy: float) -> str:
        """What the scheduler says to a report."""
        return self.scheduler.on_trial_result(None, trial, {STEP: step, METRIC: accuracy})

    def _scheduler(self) -> PairedASHA:
        scheduler = build_scheduler(
            "asha", max_steps=BUDGET, report_every=EVERY, past=tuple(self.records.values())
        )
        assert isinstance(scheduler, PairedASHA)
        return scheduler

    def _add(self, number: int) -> SimpleNamespace:
        trial = SimpleNamespace(config={NUMBER: number}, trial_id=f"tune{next(self._ids)}")
        self.records.setdefault(number, TrialRecord(number, "running", RECIPE, (), 1, None))
        self.scheduler.on_trial_add(None, trial)
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


@pytest.mark.parametrize("worse_comes_first", [False, True])
def test_who_comes_first_to_a_rung_gains_nothing(worse_comes_first: bool) -> None:
    """Tune lets the first trials of a rung go on for good, whatever they score."""
    race = Race(0)
    trials = {0.6: race._add(0), 0.5: race._add(1)}
    order = sorted(trials, reverse=not worse_comes_first)

    at_rung = {score: race.tell(trials[score], 10, score) for score in order}
    later = {score: race.tell(trials[score], 20, score) for score in order}

    goes_on, is_stopped = TrialScheduler.CONTINUE, TrialScheduler.STOP
    assert at_rung == {order[0]: goes_on, order[1]: goes_on if worse_comes_first else is_stopped}
    assert later[0.6] == goes_on
    assert later[0.5] == is_stopped


class Rivals:
    """A trial that goes on at the first rung, and one that is to be judged beside it."""

    def __init__(self, first: list[Scores]) -> None:
        self.kept = {(0, 10): first}
        self.scheduler = build_scheduler(
            "asha",
            max_steps=BUDGET,
            report_every=EVERY,
            past=(),
            read_scores=lambda number, step: self.kept.get((number, step), []),
        )
        self.tell(0, first)

    def tell(self, number: int, scores: list[Scores]) -> tuple[str, str | None]:
        trial = SimpleNamespace(config={NUMBER: number}, trial_id=f"tune{number}")
        keys = (EPISODE_SCORES, RESERVE_SCORES)
        result: dict[str, object] = {STEP: 10, METRIC: float(scores[0].mean())}
        result |= dict(zip(keys, scores, strict=False))
        decision = self.scheduler.on_trial_result(None, trial, result)  # type: ignore[arg-type]
        return decision, result.get(VERDICT)  # type: ignore[return-value]


EPISODES = np.random.default_rng(0).uniform(0.4, 0.8, 400)
"""Accuracy of a trial on each episode; episodes differ far more than trials do."""
NOISE = np.random.default_rng(1).normal(0.0, 0.1, 1600)


def test_trial_that_is_surely_behind_is_stopped_with_the_reason() -> None:
    decision, verdict = Rivals([EPISODES]).tell(1, [EPISODES - 0.02 + 0.1 * NOISE[:400]])

    assert decision == TrialScheduler.STOP
    assert verdict is not None
    assert verdict.startswith("at step 10 behind trial 0, the last that goes on there, by 0.0")
    assert verdict.endswith(" on 400 episodes")


def test_trial_that_is_behind_by_less_than_the_interval_goes_on() -> None:
    behind = EPISODES - 0.002 + NOISE[:400] - NOISE[:400].mean()

    assert behind.mean() < EPISODES.mean()
    assert Rivals([EPISODES]).tell(1, [behind]) == (TrialScheduler.CONTINUE, None)


def test_same_gap_stops_where_trials_agree_on_the_episodes() -> None:
    """The gap of the test before, but on every episode: pairing tells it from chance."""
    assert Rivals([EPISODES]).tell(1, [EPISODES - 0.002])[0] == TrialScheduler.STOP


def test_close_call_is_decided_by_the_reserve() -> None:
    behind = EPISODES - 0.006 + NOISE[:400] - NOISE[:400].mean()
    reserve = np.tile(EPISODES, 3)
    far, near = (reserve - gap + NOISE[400:] - NOISE[400:].mean() for gap in (0.02, 0.0))

    alone, _ = Rivals([EPISODES, reserve]).tell(1, [behind])
    surely_behind, verdict = Rivals([EPISODES, reserve]).tell(1, [behind, far])
    still_close, _ = Rivals([EPISODES, reserve]).tell(1, [behind, near])

    assert (alone, surely_behind, still_close) == (
        TrialScheduler.CONTINUE,
        TrialScheduler.STOP,
        TrialScheduler.CONTINUE,
    )
    assert verdict is not None
    assert verdict.endswith("on 1600 episodes")


def test_without_scores_the_accuracies_decide() -> None:
    race = Race(0)
    race.tell(race._add(0), 10, 0.6)
    trial = race._add(1)
    result: dict[str, object] = {STEP: 10, METRIC: 0.599}

    assert race.scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP
    assert result[VERDICT] == ("at step 10 behind trial 0, the last that goes on there, by 0.0010")


def test_brackets_of_hyperband_cut_later_and_hold_fewer_trials() -> None:
    counts = [sum(bracket_of(n, 3) == bracket for n in range(130)) for bracket in range(3)]
    scheduler = build_scheduler("hyperband", max_steps=BUDGET, report_every=EVERY, past=())
    assert isinstance(scheduler, PairedASHA)

    first_cuts = []
    for bracket in range(3):
        number = next(n for n in range(13) if bracket_of(n, 3) == bracket)
        for step in range(EVERY, BUDGET, EVERY):
            scheduler._enter(number + 13, step, 0.9)  # of the same bracket, and better
            trial = SimpleNamespace(config={NUMBER: number}, trial_id="tune")
            result = {STEP: step, METRIC: 0.1}
            if scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
                first_cuts.append(step)
                break

    assert counts == [90, 30, 10]
    assert first_cuts == [10, 30]  # the last bracket cuts at the budget only


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
