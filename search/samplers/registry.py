"""Samplers by name."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler

from ...spaces import Space
from ..options import SamplerName
from .quasi_random import QuasiRandomSampler
from .recipe_sampler import MakeSampler, RecipeSampler

STARTUP_TRIALS = 8
"""Trials from even points before a model of the space is asked."""


@dataclass(frozen=True)
class SamplerFacts:
    """A sampler with what its users should know.

    Attributes:
        make: Makes it for one draw.
        num_startup: Trials before its first draw.
        max_read: Finished trials that it reads at most.
        explores: Whether every fourth trial is drawn from even points instead.
        ignores_order: Whether a trial's recipe depends on the seed and its number alone, not on
            which trials are over.
        summary: One line for the help.
    """

    make: MakeSampler
    num_startup: int
    max_read: int
    explores: bool
    ignores_order: bool
    summary: str


def _tpe(space: Space, seed: int) -> BaseSampler:
    """Two densities, of the good and of the other trials, over each branch jointly.

    Trials that run count among the others, so that workers spread out.
    """
    return optuna.samplers.TPESampler(
        n_startup_trials=2, multivariate=True, group=True, constant_liar=True, seed=seed
    )


def _random(space: Space, seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _gp(space: Space, seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(
        n_startup_trials=2, seed=seed, warn_independent_sampling=False
    )


def _cmaes(space: Space, seed: int) -> BaseSampler:
    if importlib.util.find_spec("cmaes") is None:
        raise ValueError("sampler cmaes needs a package of its own: pip install cmaes")
    return optuna.samplers.CmaEsSampler(
        n_startup_trials=2, seed=seed, warn_independent_sampling=False
    )


def _nsga2(space: Space, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)


POPULATION = 24
"""Trials of a generation of `nsga2`; the preset searches are too short for Optuna's 50."""

SAMPLERS: dict[SamplerName, SamplerFacts] = {
    "tpe": SamplerFacts(
        _tpe, STARTUP_TRIALS, 400, True, False, "two densities, joint over the branches (default)"
    ),
    "random": SamplerFacts(_random, 0, 0, False, True, "independent draws"),
    "qmc": SamplerFacts(
        lambda space, seed: QuasiRandomSampler(space, seed=seed),
        2**31,
        0,
        False,
        True,
        "even points",
    ),
    "gp": SamplerFacts(
        _gp, STARTUP_TRIALS, 200, True, False, "Gaussian process; slow, for few trials"
    ),
    "cmaes": SamplerFacts(_cmaes, STARTUP_TRIALS, 2**31, False, False, "CMA-ES; numbers only"),
    "nsga2": SamplerFacts(_nsga2, 0, 2**31, False, False, "genetic, for several objectives"),
}
"""What `--sampler` takes."""


def build_sampler(
    name: SamplerName, space: Space, seed: int, objectives: Sequence[str] = ("accuracy",)
) -> RecipeSampler:
    """The sampler of a study.

    Args:
        name: Of `SAMPLERS`.
        space: What may be tried.
        seed: Of the study.
        objectives: That it weighs.

    Raises:
        ValueError: If there is no such sampler, or its package is missing.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")
    facts = SAMPLERS[name]
    facts.make(space, 0)  # refuses where its package is missing, before a study is made
    return RecipeSampler(
        facts.make,
        space,
        seed=seed,
        num_startup=facts.num_startup,
        max_read=facts.max_read,
        explores=facts.explores,
        objectives=objectives,
    )
