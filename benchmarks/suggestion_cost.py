"""What a suggestion costs in a large study: our sampler, and Optuna's TPE by itself.

Fills a study in memory with random recipes of the preset omniglot, two thirds of them stopped
early, and times what comes next. Median of a few suggestions, in milliseconds of the process, so
that other work on the machine counts little.

    python benchmarks/suggestion_cost.py --json
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from tripletune.search.samplers import build_sampler
from tripletune.search.samplers.draft import draw, optuna_distribution
from tripletune.search.samplers.quasi_random import value_at
from tripletune.spaces import Space

SUGGESTIONS = 5
STEPS = (100, 300, 900, 2600)


def filled(space: Space, num_trials: int) -> list[optuna.trial.FrozenTrial]:
    """Trials of random recipes with random scores."""
    random = np.random.default_rng(0)
    trials = []
    while len(trials) < num_trials:
        draft = draw(space, lambda _, distribution: value_at(distribution, random.random()), {})
        if draft is None:
            continue
        far = 4 if random.random() < 1 / 3 else int(random.integers(1, 4))
        curve = dict(zip(STEPS[:far], np.sort(random.random(far)).tolist(), strict=True))
        trials.append(
            create_trial(
                state=TrialState.COMPLETE if far == 4 else TrialState.PRUNED,
                value=curve[STEPS[-1]] if far == 4 else None,
                params=dict(draft.values),
                distributions=dict(draft.distributions),
                intermediate_values=curve,
            )
        )
    return trials


def cost_ms(sampler: optuna.samplers.BaseSampler, space: Space, trials: list) -> float:
    """Of a suggestion after these trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(trials)
    times = []
    for _ in range(SUGGESTIONS):
        begin = time.process_time()
        trial = study.ask()
        space.build(lambda name, one, trial=trial: trial._suggest(name, optuna_distribution(one)))
        times.append(time.process_time() - begin)
    return round(statistics.median(times) * 1e3, 1)


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = Space.load("omniglot")
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "ours": lambda: build_sampler("tpe", space, 0),
        "optuna": lambda: optuna.samplers.TPESampler(multivariate=True, group=True, seed=0),
    }
    found: dict[str, dict[str, float]] = {}
    for num_trials in arguments.trials:
        trials = filled(space, num_trials)
        found[str(num_trials)] = {
            name: cost_ms(make(), space, trials) for name, make in samplers.items()
        }
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for num_trials, costs in found.items():
        print(f"{num_trials:>6} trials: " + ", ".join(f"{n} {c} ms" for n, c in costs.items()))


if __name__ == "__main__":
    main()
