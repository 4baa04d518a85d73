"""How fast searches find a good recipe, replayed on tables of recorded trials by a fake clock.

Drives the sampler and the scheduler of this project, and beside them Ray Tune's own OptunaSearch
and ASHA, with the same workers, rungs and seconds: random search, random search with ASHA, stock
OptunaSearch with ASHA, ours. What is replayed takes the seconds that were recorded; nothing is
trained. Printed for each table and method: the best score so far at 25, 50, 75 and 100 % of the
budget (mean over seeds and its 95 % interval), and the share of the budget at which the score is
reached that random search ends with (both medians over seeds).

A trial that trains to its end takes its worker for workers / trials of the budget, 20 % with the
defaults: no method that needs one full trial to show its best can be faster than that.

    python benchmarks/search_efficiency.py --quick --json     # 5 seeds, one table
    python benchmarks/search_efficiency.py --plot             # 30 seeds, all tables
"""

import argparse
import heapq
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from search_tables import HPOLib, Omniglot, Report, open_table

from tripletune.search.leaderboard import METRIC
from tripletune.search.ray_trial import EPISODE_SCORES, NUMBER, RESERVE, RESERVE_SCORES, STEP
from tripletune.search.rungs import REDUCTION_FACTOR, grace_steps
from tripletune.search.samplers import build_sampler
from tripletune.search.schedulers import build_scheduler
from tripletune.spaces import Choice, Distribution, Int, LogUniform, Uniform, Value

Table = Omniglot | HPOLib

WORKERS = 4
BUDGET_TRIALS = 20
"""Budget of a search, in trials that are not stopped."""

CHECKPOINTS = (0.25, 0.5, 0.75, 1.0)


class Engine(Protocol):
    """What a method is to the simulator: it suggests, is told reports and ends."""

    def suggest(self, number: int) -> dict[str, Value]:
        """The next recipe."""

    def reported(self, number: int, report: Report) -> None:
        """A report of a trial that goes on."""

    def ended(self, number: int, report: Report, is_complete: bool) -> None:
        """The last report of a trial, and whether it used up its budget."""


def suggested(trial: optuna.Trial, name: str, distribution: Distribution) -> Value:
    """Optuna's value of a parameter."""
    match distribution:
        case Uniform(low=low, high=high):
            return trial.suggest_float(name, low, high)
        case LogUniform(low=low, high=high):
            return trial.suggest_float(name, low, high, log=True)
        case Int(low=low, high=high, step=step):
            return trial.suggest_int(name, low, high, step=step)
        case Choice(values=values):
            return trial.suggest_categorical(name, values)


class Ours:
    """Our sampler, told what a study tells."""

    def __init__(self, table: Table, seed: int, sampler: str) -> None:
        self._space = table.space
        self._study = optuna.create_study(
            direction="maximize", sampler=build_sampler(sampler, table.space, seed)
        )
        self._trials: dict[int, optuna.Trial] = {}

    def suggest(self, number: int) -> dict[str, Value]:
        """The next recipe."""
        trial = self._trials[number] = self._study.ask()
        values: dict[str, Value] = {}

        def choose(name: str, distribution: Distribution) -> Value:
            values[name] = suggested(trial, name, distribution)
            return values[name]

        self._space.build(choose)
        return values

    def reported(self, number: int, report: Report) -> None:
        """Keep the report."""
        self._trials[number].report(report.accuracy, report.step)

    def ended(self, number: int, report: Report, is_complete: bool) -> None:
        """As `Study.finish`: complete, pruned, or pruned and infeasible."""
        trial = self._trials.pop(number)
        trial.report(report.accuracy, report.step)
        if report.is_collapsed:
            trial.set_constraint("collapsed", 1.0)
        if is_complete:
            self._study.tell(trial, report.accuracy)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)


class Stock:
    """Ray Tune's OptunaSearch with its defaults, told what Ray Tune tells it."""

    def __init__(self, table: Table, seed: int) -> None:
        def define(trial: optuna.Trial) -> None:
            table.space.build(lambda name, distribution: suggested(trial, name, distribution))

        self._search = OptunaSearch(space=define, metric=METRIC, mode="max", seed=seed)

    def suggest(self, number: int) -> dict[str, Value]:
        """The next recipe."""
        return self._search.suggest(str(number))

    def reported(self, number: int, report: Report) -> None:
        """A result of a trial that goes on."""
        result = {METRIC: report.accuracy, "training_iteration": report.step}
        self._search.on_trial_result(str(number), result)

    def ended(self, number: int, report: Report, is_complete: bool) -> None:
        """The last result."""
        result = {METRIC: report.accuracy, "training_iteration": report.step}
        self._search.on_trial_complete(str(number), result)


def asha(table: Table) -> TrialScheduler:
    """Ray Tune's, with our rungs."""
    return AsyncHyperBandScheduler(
        time_attr=STEP,
        metric=METRIC,
        mode="max",
        max_t=table.steps,
        grace_period=grace_steps(table.steps, table.every),
        reduction_factor=REDUCTION_FACTOR,
    )


def our_scheduler(table: Table, kept: "Kept") -> TrialScheduler:
    """The default of a search, which reads the scores of episodes where the table has them."""
    return build_scheduler(
        "asha",
        max_steps=table.steps,
        report_every=table.every,
        past=(),
        read_scores=lambda number, step: kept.get((number, step), ()),
    )


Kept = dict[tuple[int, int], list[np.ndarray]]
"""Scores of the episodes of a report, by trial and step: the study's, then the reserve's."""

Method = Callable[[Table, int, Kept], tuple[Engine, TrialScheduler]]

METHODS: dict[str, Method] = {
    "random": lambda table, seed, _: (Ours(table, seed, "random"), FIFOScheduler()),
    "random+asha": lambda table, seed, _: (Ours(table, seed, "random"), asha(table)),
    "stock": lambda table, seed, _: (Stock(table, seed), asha(table)),
    "ours": lambda table, seed, kept: (Ours(table, seed, "tpe"), our_scheduler(table, kept)),
}


@dataclass
class Run:
    """One search.

    Attributes:
        times: Trial-seconds spent at each improvement, as shares of the budget.
        bests: Score from there on.
        num_trials: That were begun.
        suggest_s: Wall-clock seconds of a suggestion, on average.
    """

    times: list[float] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)
    num_trials: int = 0
    suggest_s: float = 0.0

    def best_at(self, share: float) -> float:
        """The best score so far at a share of the budget."""
        place = int(np.searchsorted(self.times, share, side="right"))
        return self.bests[place - 1] if place else math.nan

    def time_to(self, score: float) -> float:
        """When a score is reached; infinity if it never is."""
        for at, best in zip(self.times, self.bests, strict=True):
            if best >= score:
                return at
        return math.inf


def replay(table: Table, method: str, seed: int, *, workers: int, trials: float) -> Run:
    """One search of a table until its budget of trial-seconds is spent."""
    np.random.seed(seed)  # Ray's ASHA draws its bracket from the global generator
    kept: Kept = {}
    engine, scheduler = METHODS[method](table, seed, kept)
    # All workers are busy all the time: the clock times their number is what is spent.
    end = trials * table.seconds / workers
    run, numbers = Run(), count()
    events: list[tuple[float, int, int]] = []
    live: dict[int, tuple[float, list[Report], Any]] = {}
    used: set[int] = set()

    def begin(now: float) -> None:
        number = next(numbers)
        start = time.perf_counter()
        values = engine.suggest(number)
        run.suggest_s += time.perf_counter() - start
        run.num_trials += 1
        trial = SimpleNamespace(
            trial_id=f"{number:05d}", config={NUMBER: number}, status="RUNNING"
        )
        scheduler.on_trial_add(None, trial)
        curve = table.curve(values, used)
        live[number] = (now, curve, trial)
        heapq.heappush(events, (now + curve[0].seconds, number, 0))

    for _ in range(workers):
        begin(0.0)
    while events and events[0][0] <= end:
        now, number, at = heapq.heappop(events)
        started, curve, trial = live[number]
        report = curve[at]
        if not report.is_collapsed and report.accuracy > (run.bests or [-math.inf])[-1]:
            run.times.append(now / end)
            run.bests.append(report.accuracy)
        result = {
            STEP: report.step,
            "training_iteration": report.step,
            METRIC: report.accuracy,
        }
        if report.scores is not None:
            parts = np.split(report.scores, [len(report.scores) // (1 + RESERVE)])
            kept[number, report.step] = parts
            result |= dict(zip((EPISODE_SCORES, RESERVE_SCORES), parts, strict=True))
        is_complete = report.step >= table.steps
        is_over = is_complete or report.is_collapsed or at + 1 == len(curve)
        decision = TrialScheduler.STOP
        if not is_over:
            decision = scheduler.on_trial_result(None, trial, result)
        if decision == TrialScheduler.CONTINUE:
            engine.reported(number, report)
            heapq.heappush(events, (started + curve[at + 1].seconds, number, at + 1))
            continue
        scheduler.on_trial_complete(None, trial, result)
        engine.ended(number, report, is_complete)
        del live[number]
        begin(now)
    run.suggest_s /= run.num_trials
    return run


def one(arguments: tuple[str, str, int, int, float]) -> Run:
    """One search, in a process of a pool."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, method, seed, workers, trials = arguments
    if name not in _TABLES:
        _TABLES[name] = open_table(name)
    return replay(_TABLES[name], method, seed, workers=workers, trials=trials)


_TABLES: dict[str, Table] = {}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % of a mean, by bootstrap."""
    random = np.random.default_rng(0)
    means = random.choice(np.asarray(values), (4000, len(values))).mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Mean difference and its 95 % interval; the seeds of two methods have nothing in common."""
    random = np.random.default_rng(0)
    a, b = np.asarray(ours), np.asarray(theirs)
    draws = random.choice(a, (4000, len(a))).mean(1) - random.choice(b, (4000, len(b))).mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(a.mean() - b.mean()), float(low), float(high)


def summarize(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """What is printed of one table."""
    target = float(np.median([run.best_at(1.0) for run in runs["random"]]))
    found: dict[str, Any] = {"random_best": target, "methods": {}}
    for method, group in runs.items():
        found["methods"][method] = {
            "best_so_far": {
                f"{share:.0%}": {
                    "mean": float(np.mean([run.best_at(share) for run in group])),
                    "interval": interval([run.best_at(share) for run in group]),
                }
                for share in CHECKPOINTS
            },
            "time_to_random_best": float(np.median([run.time_to(target) for run in group])),
            "trials": float(np.mean([run.num_trials for run in group])),
            "suggestion_s": float(np.mean([run.suggest_s for run in group])),
        }
    if {"ours", "stock"} <= runs.keys():
        ends = {m: [run.best_at(1.0) for run in runs[m]] for m in ("ours", "stock")}
        mean, low, high = difference(ends["ours"], ends["stock"])
        found["ours_less_stock_at_end"] = {"mean": mean, "interval": [low, high]}
    return found


def printed(name: str, found: dict[str, Any]) -> None:
    """The summary of a table as text."""
    print(f"\n{name}: random search ends at {found['random_best']:.4f}")
    print("| method | 25 % | 50 % | 75 % | 100 % | time to random's best | trials |")
    print("| ------ | ---: | ---: | ---: | ----: | --------------------: | -----: |")
    for method, values in found["methods"].items():
        cells = [
            f"{at['mean']:.4f} ({at['interval'][0]:.4f} to {at['interval'][1]:.4f})"
            for at in values["best_so_far"].values()
        ]
        reached = values["time_to_random_best"]
        share = f"{reached:.0%}" if math.isfinite(reached) else "never"
        print(f"| {method} | {' | '.join(cells)} | {share} | {values['trials']:.0f} |")
    if "ours_less_stock_at_end" in found:
        ends = found["ours_less_stock_at_end"]
        low, high = ends["interval"]
        print(f"ours less stock at the end: {ends['mean']:+.4f} ({low:+.4f} to {high:+.4f})")


def plot(all_runs: dict[str, dict[str, list[Run]]], path: Path) -> None:
    """Best score so far against the share of the budget, a panel a table."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(all_runs), figsize=(4.2 * len(all_runs), 3.4), squeeze=False, layout="constrained"
    )
    shares = np.linspace(0.02, 1.0, 99)
    for panel, (name, runs) in zip(panels[0], all_runs.items(), strict=True):
        for method, group in runs.items():
            values = np.array([[run.best_at(share) for share in shares] for run in group])
            spans = np.array([interval(column[np.isfinite(column)]) for column in values.T])
            (line,) = panel.plot(shares * 100, np.nanmean(values, 0), label=method)
            panel.fill_between(shares * 100, *spans.T, alpha=0.2, color=line.get_color(), lw=0)
        panel.set(title=name, xlabel="trial-seconds, % of the budget", ylabel="best score so far")
        end = [run.best_at(1.0) for run in runs["random"]]
        panel.set_ylim(bottom=float(np.median([r.best_at(0.05) for r in runs["random"]])))
        panel.axhline(float(np.median(end)), color="grey", lw=0.8, ls=":")
        panel.grid(alpha=0.3)
    panels[0][0].legend(loc="lower right")
    figure.savefig(path, dpi=120)
    print(f"plot in {path}")


def main() -> int:
    """Replay, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    names = ["omniglot", *HPOLib.DATASETS]
    add("--tables", nargs="+", choices=names, default=None, help="default: all; quick: omniglot")
    add("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    add("--seeds", type=int, default=None, help="searches of each method; 30, quick 5")
    add("--quick", action="store_true", help="5 seeds, one table")
    add("--workers", type=int, default=WORKERS, help="trials at a time")
    add("--trials", type=float, default=BUDGET_TRIALS, help="budget in trials that aren't stopped")
    add("--processes", type=int, default=1, help="searches replayed at a time")
    add("--json", action="store_true", help="print JSON")
    add("--plot", action="store_true", help="write search_efficiency.png beside this file")
    arguments = parser.parse_args()
    tables = arguments.tables or (["omniglot"] if arguments.quick else names)
    seeds = arguments.seeds or (5 if arguments.quick else 30)
    found: dict[str, Any] = {}
    all_runs: dict[str, dict[str, list[Run]]] = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for name in tables:
            cells = [
                (name, method, seed, arguments.workers, arguments.trials)
                for method in arguments.methods
                for seed in range(seeds)
            ]
            runs = list(pool.map(one, cells))
            groups = {
                method: runs[at * seeds : (at + 1) * seeds]
                for at, method in enumerate(arguments.methods)
            }
            all_runs[name], found[name] = groups, summarize(groups)
            if not arguments.json:
                printed(name, found[name])
    if arguments.json:
        settings = {"seeds": seeds, "workers": arguments.workers, "trials": arguments.trials}
        print(json.dumps(settings | {"tables": found}, indent=2))
    if arguments.plot:
        plot(all_runs, Path(__file__).with_name("search_efficiency.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
