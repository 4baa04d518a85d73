"""Points that fill a space more evenly than chance: one coordinate a parameter of any branch."""

import math
import warnings

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ...spaces import Space, Value


class QuasiRandomSampler(BaseSampler):
    """Scrambled Sobol points: trial n takes point n, whatever the other trials do.

    Optuna's own has the parameters of the first trial and draws those of other branches at
    random. Here every parameter of every branch has a coordinate; a trial uses those that exist
    for it.

    Sobol 1967, On the distribution of points in a cube; scrambling: Owen 1998.
    """

    def __init__(self, space: Space, *, seed: int) -> None:
        """Points for a space.

        Args:
            space: What may be tried.
            seed: Of the scrambling, the same for all trials of a study.
        """
        self._names = {parameter.name: at for at, parameter in enumerate(space.parameters())}
        self._seed = seed
        self._point: list[float] = []

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: parameters are asked for one by one, and read off the trial's point."""
        from scipy.stats import qmc

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a count that is no power of two
            sobol = qmc.Sobol(max(1, len(self._names)), rng=self._seed)
            if trial.number:
                sobol.fast_forward(trial.number)
            self._point = sobol.random(1)[0].tolist()
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Value:
        """The value at the parameter's coordinate."""
        return value_at(param_distribution, self._point[self._names[param_name]])


def value_at(distribution: BaseDistribution, place: float) -> Value:
    """The quantile of a distribution at a place in [0, 1)."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=True):
            return min(high, max(low, math.exp(math.log(low) + place * math.log(high / low))))
        case FloatDistribution(low=low, high=high):
            return low + place * (high - low)
        case IntDistribution(low=low, high=high, step=step):
            return low + int(place * ((high - low) // step + 1)) * step
        case CategoricalDistribution(choices=choices):
            value: Value = choices[int(place * len(choices))]
            return value
    raise TypeError(f"distribution must be of a space, got {distribution}")
