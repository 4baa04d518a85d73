"""What a sampler gets to see of a study: a part of a large one, compared at one step."""

import copy
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

LEAST_COMPARED = 8
"""Trials that a step is compared at by at least."""


def worth_reading(trials: Sequence[FrozenTrial], number: int, max_read: int) -> list[FrozenTrial]:
    """The trials that a sampler gets to see, by number.

    All that run, and of those that are over at most `max_read`: the best quarter of what may be
    read, and evenly many of the rest, so that the cost of a suggestion does not grow with the
    study. Failed trials are not among them.
    """
    running = [t for t in trials if t.state == TrialState.RUNNING and t.number != number]
    over = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(over) > max_read:
        ranked = sorted(over, key=_rank)
        best, rest = ranked[: max_read // 4], sorted(ranked[max_read // 4 :], key=_number)
        places = np.linspace(0, len(rest) - 1, max_read - len(best)).round().astype(int)
        over = [*best, *(rest[place] for place in places)]
    # The trial itself is among them: samplers ask how far it is.
    own = [t for t in trials if t.number == number]
    return sorted([*running, *over, *own], key=_number)


def _rank(trial: FrozenTrial) -> tuple[bool, bool, int, float]:
    """Best first, as TPE ranks: feasible, complete, far, good."""
    is_infeasible = any(value > 0 for value in trial.constraints.values())
    if trial.state == TrialState.COMPLETE and len(trial.values) == 1:
        return is_infeasible, False, 0, -trial.values[0]
    if trial.state == TrialState.COMPLETE:
        return is_infeasible, False, 0, 0.0
    step, value = max(trial.intermediate_values.items(), default=(0, 0.0))
    return is_infeasible, True, -step, -value


def at_one_step(trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
    """The trials with those that came far enough told as if all had ended at the same step.

    Stopped early, most trials never reach their budget, and those that do are few: the first to
    come, which nobody stopped, and later the best. TPE ranks all complete trials before all
    stopped ones, so that it would imitate the first for long. Here trials are compared at the
    furthest step that enough of them have reached (twice as many as TPE calls good), as in BOHB:
    they count as complete with what they scored there, also those that still run. The others stay
    stopped, behind them.

    Falkner et al. 2018, BOHB, arXiv 1807.01774, section 3.2 (where the step is a rung).

    Args:
        trials: By number.
        number: Of the trial to draw, which stays as it is.
    """
    reached = sorted((max(t.intermediate_values, default=0) for t in trials), reverse=True)
    num_over = sum(t.state != TrialState.RUNNING for t in trials)
    enough = max(LEAST_COMPARED, 2 * min(25, -(-num_over // 10)))
    if len(reached) < enough or reached[enough - 1] == 0:
        return list(trials)
    step = reached[enough - 1]
    return [t if t.number == number else _ended_at(t, step) for t in trials]


def _ended_at(trial: FrozenTrial, step: int) -> FrozenTrial:
    """The trial as complete at a step; itself where it did not come so far or is infeasible."""
    far = max(trial.intermediate_values, default=0) >= step
    if not far or any(value > 0 for value in trial.constraints.values()):
        return trial
    last = max(at for at in trial.intermediate_values if at <= step)
    told = copy.copy(trial)
    told.state = TrialState.COMPLETE
    told.values = [trial.intermediate_values[last]]
    return told


def _number(trial: FrozenTrial) -> int:
    return trial.number
