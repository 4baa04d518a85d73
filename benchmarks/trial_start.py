"""How long a trial takes to start on an actor that has served another one.

Runs a short search on the built-in data and prints, for each trial after the first of its actor,
the time from the end of the previous trial's last report to the beginning of the first step: the
checkpoint, the way through Ray Tune, the study and Optuna's next suggestion, and the new model.

    python benchmarks/trial_start.py --trials 16 --json
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tripletune.search import ray_trial
from tripletune.search.options import SearchOptions
from tripletune.search.runner import run_search
from tripletune.spaces import Space

FAST = {"budget.steps": 40, "budget.report_every": 10}


def timed(folder: Path) -> type[ray_trial.RayTrial]:
    """A trial that writes down when each of its steps began and ended, a file a process."""

    class TimedTrial(ray_trial.RayTrial):
        def step(self) -> dict[str, Any]:
            begin = time.time()
            result = super().step()
            line = json.dumps([self._config[ray_trial.NUMBER], begin, time.time()])
            with (folder / f"{os.getpid()}.jsonl").open("a") as file:
                file.write(line + "\n")
            return result

    return TimedTrial


def starts(lines: list[str]) -> list[float]:
    """Seconds between the trials of one process."""
    steps = [json.loads(line) for line in lines]
    return [
        begin - end_before
        for (before, _, end_before), (number, begin, _) in itertools.pairwise(steps)
        if number != before
    ]


def measure(trials: int, concurrency: int | None) -> dict[str, Any]:
    """Run a short search and time the starts of its trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "times"
        folder.mkdir()
        vars(ray_trial)["RayTrial"] = timed(folder)
        begin = time.time()
        run_search(
            Space.load("quickstart").with_values(FAST),
            SearchOptions(trials=trials, concurrency=concurrency, wandb="off"),
            name="trial-start",
            runs=name,
        )
        files = [path.read_text().splitlines() for path in sorted(folder.iterdir())]
    warm = [seconds for lines in files for seconds in starts(lines)]
    first = [json.loads(lines[0])[1] - begin for lines in files]
    return {
        "trials": trials,
        "processes": len(files),
        "warm_starts": len(warm),
        "warm_median_s": statistics.median(warm),
        "warm_max_s": max(warm),
        "first_step_of_each_process_s": first,
    }


def main() -> None:
    """Run the search and print the starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--concurrency", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.trials, arguments.concurrency)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"{result['trials']} trials on {result['processes']} processes: {result['warm_starts']} "
        f"warm starts, median {result['warm_median_s']:.3f} s, longest "
        f"{result['warm_max_s']:.3f} s; first steps after "
        f"{', '.join(f'{s:.1f}' for s in result['first_step_of_each_process_s'])} s of search"
    )


if __name__ == "__main__":
    main()
