"""The sampler of a study: whole recipes, none twice, each from a seed of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ...spaces import Space, Value
from ..objectives import OBJECTIVES, told
from .draft import Draft, Key, SpaceExhausted, draw_with, key_of
from .quasi_random import QuasiRandomSampler
from .seen import at_one_step, worth_reading
from .view import StudyView

MakeSampler = Callable[[Space, int], BaseSampler]
"""A sampler of Optuna's for one draw, from the space and a seed."""

ATTEMPTS = 3
"""Draws of the sampler itself before even points take over: one that repeats itself is stuck."""

EXPLORE_EVERY = 4
"""Of how many trials one is drawn from even points, whatever the sampler thinks by then. Stopped
early it costs little, and it finds the regions that nothing has been drawn from. In BOHB it is
one in three (Falkner et al. 2018, arXiv 1807.01774, appendix G)."""

RANDOM_ATTEMPTS = 200
"""Draws by chance before the space counts as tried through."""


class RecipeSampler(BaseSampler):
    """Draws whole recipes with one of Optuna's samplers.

    - The seed of a draw is that of the study and the trial's number: a resumed study goes on as
      an uninterrupted one would, and a sampler that does not look at other trials (`random`,
      `qmc`) suggests the same in whatever order they finish.
    - The first trials are drawn without a model, counted by the trials that were started, not by
      those that are over: many workers do not make it more.
    - `given` holds parameters of the next recipe that somebody else decides.
    - A recipe that the study has already, or that breaks a rule of recipes, is drawn again.
    """

    def __init__(
        self,
        make: MakeSampler,
        space: Space,
        *,
        seed: int,
        num_startup: int,
        max_read: int,
        explores: bool,
        objectives: Sequence[str] = ("accuracy",),
    ) -> None:
        """Draw from a space.

        Args:
            make: Of the sampler.
            space: What may be tried.
            seed: Of the study.
            num_startup: Trials that are drawn from even points instead of by the sampler.
            max_read: Finished trials that the sampler gets to see at most; see `worth_reading`.
            explores: Whether every fourth trial is drawn from even points too.
            objectives: That the sampler weighs, of `OBJECTIVES`; the study is kept by accuracy.
        """
        self._make = make
        self._space = space
        self._seed = seed
        self._num_startup = num_startup
        self._max_read = max_read
        self._explores = explores
        self._objectives = tuple(objectives)
        self.given: Mapping[str, Value] = {}
        self._draft: Draft | None = None
        self._keys: dict[int, Key] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters of the recipe that this trial shall get, which is drawn here."""
        enqueued: Mapping[str, Value] = trial.system_attrs.get("fixed_params", {})
        fixed = {**self.given, **enqueued}
        trials = study._get_trials(deepcopy=False)
        tried = self._tried(trials, trial.number)
        seen = worth_reading(trials, trial.number, self._max_read)
        if len(self._objectives) == 1:
            view = StudyView(study, at_one_step(seen, trial.number), study.directions)
        else:
            directions = [OBJECTIVES[name].direction for name in self._objectives]
            view = StudyView(study, told(seen, self._objectives), directions)
        for attempt in range(ATTEMPTS + RANDOM_ATTEMPTS):
            sampler = self._sampler(trial.number, attempt)
            draft = draw_with(sampler, view, trial, self._space, fixed)
            if draft is not None and (draft.key not in tried or enqueued):
                self._draft = draft
                return dict(draft.distributions)
        raise SpaceExhausted(
            f"no new recipe in {ATTEMPTS + RANDOM_ATTEMPTS} draws: the {len(tried)} trials have "
            "all that the space holds; widen it to search on"
        )

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The recipe drawn for this trial."""
        assert self._draft is not None, "Optuna infers the space before it samples"
        return dict(self._draft.values)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: a draft has every parameter of its recipe."""
        raise LookupError(
            f"{param_name} must be a parameter of the space, it is none of its draft"
        )

    def _sampler(self, number: int, attempt: int) -> BaseSampler:
        """What draws a trial: even points at first, now and then, and where the sampler fails."""
        is_even = number < self._num_startup or (
            self._explores and number % EXPLORE_EVERY == EXPLORE_EVERY - 1
        )
        if attempt < ATTEMPTS and not is_even:
            return self._make(self._space, seed_of(self._seed, number, attempt))
        # A draw that could not be used is repeated in another scrambling: far along the same one,
        # points share their leading digits.
        return QuasiRandomSampler(
            self._space, seed=seed_of(self._seed, *([attempt] if attempt else []))
        )

    def _tried(self, trials: Sequence[FrozenTrial], number: int) -> set[Key]:
        """Recipes of the other trials; those that have one keep it."""
        for trial in trials:
            if trial.number not in self._keys and trial.params and trial.number != number:
                self._keys[trial.number] = key_of(trial.params)
        return {key for at, key in self._keys.items() if at != number}


def seed_of(*parts: int) -> int:
    """A seed of 32 bits that all parts decide."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
