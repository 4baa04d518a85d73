"""How a study begins its suggestions: its sampler, its first trial, and no words of Optuna."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna

from ..spaces import Distribution, Space, Value
from .samplers import build_sampler


def sampler_of(options: Mapping[str, Any], space: Space) -> optuna.samplers.BaseSampler:
    """What the options name, over the study's space; studies of an older version had `tpe`."""
    with quiet_optuna():
        return build_sampler(
            options.get("sampler", "tpe"),
            space,
            int(options["seed"]),
            options.get("objectives", ("accuracy",)),
        )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Use Optuna without its log line, and what it calls experimental without a warning."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def middle(space: Space) -> dict[str, Value]:
    """The first trial of a study: the middle of every range, the first of every choice.

    Whoever writes a space puts the likeliest values there, so that the others meet a good rival.
    """
    values: dict[str, Value] = {}

    def choose(name: str, distribution: Distribution) -> Value:
        values[name] = distribution.middle
        return distribution.middle

    space.build(choose)
    return values
