"""What samplers get to see: trials that were stopped at different steps, compared at one."""

from optuna.trial import FrozenTrial, TrialState, create_trial

from tripletune.search.samplers.seen import LEAST_COMPARED, at_one_step


def trial(number: int, steps: int, score: float, state: TrialState, **more: float) -> FrozenTrial:
    """One that reported `score` plus a thousandth a step, at every step to its last."""
    made = create_trial(
        state=state,
        value=score + steps / 1000 if state == TrialState.COMPLETE else None,
        intermediate_values={step: score + step / 1000 for step in range(1, steps + 1)},
        constraints=more,
    )
    made.number = number
    return made


def test_trials_that_came_far_enough_count_as_complete_at_the_same_step() -> None:
    complete = trial(0, 27, 0.1, TrialState.COMPLETE)
    stopped = [trial(n, 9, 0.2 + n / 10, TrialState.PRUNED) for n in range(1, LEAST_COMPARED - 1)]
    running = trial(LEAST_COMPARED - 1, 9, 0.5, TrialState.RUNNING)
    early = trial(LEAST_COMPARED, 3, 0.9, TrialState.PRUNED)

    seen = at_one_step([complete, *stopped, running, early], number=99)

    assert [one.value for one in seen[:-2]] == [
        one.intermediate_values[9] for one in [complete, *stopped]
    ]
    assert {one.state for one in seen[:-1]} == {TrialState.COMPLETE}
    assert seen[-2].value == running.intermediate_values[9]
    assert seen[-1] is early
    assert (complete.value, running.state) == (0.1 + 27 / 1000, TrialState.RUNNING)


def test_collapsed_trial_and_the_one_to_draw_stay_as_they_are() -> None:
    others = [trial(n, 9, 0.5, TrialState.PRUNED) for n in range(LEAST_COMPARED)]
    collapsed = trial(20, 9, 0.4, TrialState.PRUNED, collapsed=1.0)
    own = trial(21, 9, 0.4, TrialState.RUNNING)

    seen = at_one_step([*others, collapsed, own], number=21)

    assert seen[-2] is collapsed
    assert seen[-1] is own


def test_few_trials_are_seen_as_they_are() -> None:
    few = [trial(n, 9, 0.5, TrialState.PRUNED) for n in range(LEAST_COMPARED - 1)]

    assert at_one_step(few, number=99) == few
