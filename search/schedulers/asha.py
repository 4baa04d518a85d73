"""Successive halving that outlives the process, and stops a trial only when it is surely behind.

Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from ..leaderboard import METRIC
from ..ray_trial import EPISODE_SCORES, NUMBER, RESERVE_SCORES, STEP
from ..records import TrialRecord
from ..rungs import REDUCTION_FACTOR
from ..statistics import paired_difference

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

Scores = NDArray[np.floating]
"""Accuracy of each episode, shape (E,)."""

ReadScores = Callable[[int, int], Sequence[Scores]]
"""Scores of a trial's report, by number and step: those of the study's episodes first, then those
of the reserve; fewer, or none, where they were not kept."""

VERDICT: Final = "verdict"
"""Key of a result under which the reason of a stop is left."""

Explain = Callable[[int, int, str], None]
"""Told why a trial is stopped: its number, the step of its last report, the reason."""


@dataclass(frozen=True)
class _Numbered:
    """A trial under its number in the study: Tune's own ids change with every start."""

    trial_id: str


class PairedASHA(AsyncHyperBandScheduler):
    """Ray Tune's ASHA with three differences, each of which can be looked up in the study.

    - **It remembers.** Tune saves no scheduler state: after a restart its rungs are empty, and
      the first trials to reach them go on whatever they score (ray#30838). Here the rungs are
      filled from the study.
    - **It does not matter who comes first.** A trial that reached a rung while nobody was there
      is judged there again at each of its later reports, against those that came since.
    - **It stops on differences, not on numbers.** All trials are scored on the same episodes. A
      trial under the cut is compared, episode by episode, with the one that holds the cut; it is
      stopped if it is behind by more than the 95 % interval of that difference. If not, the
      reserve of further episodes decides in the same way, and if that can't either, it goes on.

    A bracket is a sequence of rungs; with several (Hyperband) a trial's bracket follows from its
    number: the first, which cuts earliest, gets the most.
    """

    def __init__(
        self,
        *,
        max_steps: int,
        grace_steps: int,
        past: Sequence[TrialRecord],
        read_scores: ReadScores,
        explain: Explain,
        num_brackets: int = 1,
    ) -> None:
        """Brackets from `grace_steps` to `max_steps`.

        Args:
            max_steps: Budget of a trial.
            grace_steps: No trial is stopped before.
            past: Trials of earlier starts, with their reports.
            read_scores: Gives the scores of episodes that reports came with.
            explain: Told of every stop.
            num_brackets: How many first rungs there are, each later than the one before.
        """
        super().__init__(
            time_attr=STEP,
            metric=METRIC,
            mode="max",
            max_t=max_steps,
            grace_period=grace_steps,
            reduction_factor=REDUCTION_FACTOR,
            brackets=num_brackets,
            # A trial that reported a step twice is not judged twice.
            stop_last_trials=False,
        )
        self._read_scores = read_scores
        self._explain = explain
        self._rungs: dict[tuple[int, int], Rung] = {}
        for record in past:
            for report in record.reports:
                self._enter(record.number, report.step, report.one_shot_accuracy)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Nothing: the bracket follows from the number, where Tune's follows from chance."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Enter the report into its rung, and judge the trial at the last rung it reached."""
        if METRIC not in result:
            return TrialScheduler.CONTINUE
        number, step = trial.config[NUMBER], result[STEP]
        if step >= self._max_t:
            return TrialScheduler.STOP
        self._enter(number, step, result[METRIC])
        rung = self._last_rung(number, step)
        if rung is None:
            return TrialScheduler.CONTINUE
        now = [result[key] for key in (EPISODE_SCORES, RESERVE_SCORES) if key in result]
        verdict = self._verdict(number, rung, now if rung.steps[number] == step else None)
        if verdict is None:
            return TrialScheduler.CONTINUE
        result[VERDICT] = verdict
        self._explain(number, step, verdict)
        return TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the last result for the trials to come."""
        if METRIC in result:
            self._enter(trial.config[NUMBER], result[STEP], result[METRIC])

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Nothing to forget of a trial that never ran."""

    def _enter(self, number: int, step: int, accuracy: float) -> None:
        """Let Tune's bracket put a report into the rung that it reaches, if it is the first."""
        bracket = self._brackets[bracket_of(number, len(self._brackets))]
        bracket.on_result(cast("Trial", _Numbered(_id(number))), step, accuracy)
        rung = self._last_rung(number, step)
        if rung is not None:
            rung.steps.setdefault(number, step)

    def _last_rung(self, number: int, step: int) -> "Rung | None":
        """The last rung that a trial has an entry in."""
        bracket = self._brackets[bracket_of(number, len(self._brackets))]
        for milestone, entries in bracket._rungs:  # the last one first
            if step >= milestone and _id(number) in entries:
                key = (id(bracket), int(milestone))
                return self._rungs.setdefault(key, Rung(int(milestone), entries, {}))
        return None

    def _verdict(self, number: int, rung: "Rung", now: Sequence[Scores] | None) -> str | None:
        """Why a trial is stopped at a rung; None if it goes on.

        Args:
            number: Of the trial.
            rung: Where it is judged.
            now: Its scores there, if it reached the rung with this report.
        """
        found = rung.holder_of_cut(number)
        if found is None:
            return None
        holder, gap = found
        where = f"at step {rung.milestone} behind trial {holder}, the last that goes on there, by"
        own = self._read_scores(number, rung.steps[number]) if now is None else now
        rival = self._read_scores(holder, rung.steps[holder])
        if not own or not rival:
            return f"{where} {gap:.4f}"
        for count in range(1, min(len(own), len(rival)) + 1):
            difference = paired_difference(
                np.concatenate(rival[:count]), np.concatenate(own[:count])
            )
            if difference.low > 0.0:
                half = difference.mean - difference.low
                episodes = sum(map(len, own[:count]))
                return f"{where} {difference.mean:.4f} ±{half:.4f} on {episodes} episodes"
        return None


@dataclass(frozen=True)
class Rung:
    """Trials that have come as far as a milestone, with their accuracy there.

    Attributes:
        milestone: Step from which on a report counts.
        entries: Accuracy by Tune's id; Tune's own mapping.
        steps: Of the report that counts, by number.
    """

    milestone: int
    entries: Mapping[str, float]
    steps: dict[int, int]

    def holder_of_cut(self, number: int) -> tuple[int, float] | None:
        """The trial that one is under the cut of, and by how much; None if it is not under it.

        The cut is Tune's: the best third of the other entries lie at or above it. Who holds it is
        the worst of those.
        """
        own = self.entries[_id(number)]
        others = {name: value for name, value in self.entries.items() if name != _id(number)}
        if not others:
            return None
        cut = float(np.nanpercentile(list(others.values()), (1 - 1 / REDUCTION_FACTOR) * 100))
        if not own < cut:
            return None
        above = [(value, name) for name, value in others.items() if value >= cut]
        value, name = min(above)
        return int(name), value - own


def bracket_of(number: int, num_brackets: int) -> int:
    """The bracket of a trial; each gets a third of what the one before gets, as in Hyperband.

    Hyperband spends the same in every bracket: the one that cuts earliest holds the most trials.
    Li et al. 2018, Hyperband, JMLR 18(185).
    """
    shares = [REDUCTION_FACTOR**at for at in reversed(range(num_brackets))]
    place = number % sum(shares)
    for bracket, share in enumerate(shares):
        if place < share:
            return bracket
        place -= share
    raise AssertionError("a place lies in one of the shares")


def _id(number: int) -> str:
    return f"{number:05d}"
