"""Draws a value of the space by Optuna."""

import optuna

from ..spaces import Choice, Distribution, Int, LogUniform, Uniform, Value


def suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Value:
    """Optuna's value for a parameter of the space."""
    match distribution:
        case Uniform(low=low, high=high):
            return trial.suggest_float(name, low, high)
        case LogUniform(low=low, high=high):
            return trial.suggest_float(name, low, high, log=True)
        case Int(low=low, high=high, step=step):
            return trial.suggest_int(name, low, high, step=step)
        case Choice(values=values):
            return trial.suggest_categorical(name, values)
