"""One recipe of a space before it is a trial: drawn, checked, compared, thrown away if need be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ...spaces import Choice, Distribution, Int, LogUniform, Space, SpaceError, Uniform, Value

Key = tuple[tuple[str, Value], ...]
"""Parameters of a recipe, sorted by name: equal for equal recipes of a space."""


class SpaceExhausted(Exception):  # noqa: N818  # no error: there is nothing left to try
    """Every recipe that could be drawn has been tried already."""


@dataclass(frozen=True)
class Draft:
    """Parameters of one recipe, with what each was drawn from.

    Attributes:
        values: By parameter.
        distributions: Optuna's, by parameter.
    """

    values: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return key_of(self.values)


def key_of(values: Mapping[str, Any]) -> Key:
    """Parameters in an order of their own."""
    return tuple(sorted(values.items()))


def optuna_distribution(distribution: Distribution) -> BaseDistribution:
    """Optuna's distribution of a parameter."""
    match distribution:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case Choice(values=values):
            return CategoricalDistribution(values)


def draw(
    space: Space, choose: Callable[[str, BaseDistribution], Value], fixed: Mapping[str, Value]
) -> Draft | None:
    """One recipe of the space, define by run.

    Args:
        space: What may be tried.
        choose: Gives the value of a parameter that is active under those given before.
        fixed: Parameters that are given already.

    Returns:
        The draft; None where it breaks a rule that the check of the space did not reach.
    """
    values: dict[str, Value] = {}
    distributions: dict[str, BaseDistribution] = {}

    def chosen(name: str, distribution: Distribution) -> Value:
        distributions[name] = optuna_distribution(distribution)
        values[name] = fixed[name] if name in fixed else choose(name, distributions[name])
        return values[name]

    try:
        space.build(chosen)
    except SpaceError:
        return None
    return Draft(values, distributions)


def draw_with(
    sampler: BaseSampler,
    study: Study,
    trial: FrozenTrial,
    space: Space,
    fixed: Mapping[str, Value],
) -> Draft | None:
    """One recipe by an Optuna sampler: jointly where it can, one by one where it can't."""
    relative = sampler.sample_relative(
        study, trial, sampler.infer_relative_search_space(study, trial)
    )

    def choose(name: str, distribution: BaseDistribution) -> Value:
        if name in relative and distribution._contains(
            distribution.to_internal_repr(relative[name])
        ):
            value: Value = relative[name]
            return value
        drawn: Value = sampler.sample_independent(study, trial, name, distribution)
        return drawn

    return draw(space, choose, fixed)
