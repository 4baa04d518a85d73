"""What W&B costs a search of eight trials at a time: tripletune's tracker against Ray's callback.

Each arm is a process of its own with a private Ray: eight trials that each report every second
and leave the processor alone in between, as trials on GPUs do. The parent counts what all
processes of the arm use, and answers W&B's client with the stand-in server of the tests.

    python benchmarks/wandb_cost.py [--rounds 3] [--seconds 40]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
TRIALS = 8
TRIES = 4
ARMS = ("none", "tripletune", "ray")


def run_arm(arm: str, seconds: int, folder: Path) -> None:
    """One search; prints how long `fit` took."""
    sys.path.append(str(SUPPORT))
    import ray
    from ray import tune
    from reports import report

    from tripletune.search.records import TrialRecord
    from tripletune.search.trackers import WandbTracker
    from tripletune.spaces import Recipe

    def train(config: dict[str, Any]) -> None:
        for step in range(1, seconds + 1):
            time.sleep(1.0)
            tune.report({"step": step, "one_shot_accuracy": 0.5 + step / 1000, "loss": 1.0 / step})

    recipe = Recipe.model_validate({"objective": {"loss": {"name": "supcon"}}})

    class Adapter(tune.Callback):
        """Tells the tracker what the recorder of a search tells it."""

        def __init__(self) -> None:
            self.tracker = WandbTracker("cost", folder / "study", "cost")
            self.records: dict[str, TrialRecord] = {}

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune keeps a copy of its callbacks in a file

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            number = trial.config["number"]
            record = TrialRecord(number, "running", recipe, (), 1, None)
            self.records[trial.trial_id] = record
            self.tracker.trial_started(record)

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any
        ) -> None:
            made = report(result["step"], result["one_shot_accuracy"])
            record = self.records[trial.trial_id]
            full = TrialRecord(record.number, "running", recipe, (*record.reports, made), 1, None)
            self.records[trial.trial_id] = full
            self.tracker.trial_reported(record.number, 1, made)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            record = self.records[trial.trial_id]
            done = TrialRecord(record.number, "complete", recipe, record.reports, 1, None)
            self.tracker.trial_ended(done)

        def on_experiment_end(self, trials: Any, **_: Any) -> None:
            self.tracker.close(60.0)

    callbacks: list[tune.Callback] = []
    if arm == "ray":
        from ray.air.integrations.wandb import WandbLoggerCallback

        callbacks.append(WandbLoggerCallback(project="cost", group="cost"))
    ray.init(num_cpus=TRIALS, include_dashboard=False, log_to_driver=False)
    began = time.monotonic()
    if arm == "tripletune":
        callbacks.append(Adapter())
    tune.Tuner(
        train,
        param_space={"number": tune.grid_search(list(range(TRIALS)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=TRIALS),
        run_config=tune.RunConfig(
            name="cost", storage_path=str(folder / "tune"), callbacks=callbacks, verbose=0
        ),
    ).fit()
    print(f"FIT {time.monotonic() - began:.2f}", flush=True)
    ray.shutdown()


def measure(arm: str, seconds: int) -> tuple[float, float, int, float]:
    """Seconds of `fit`, processor seconds, most processes at a time, most memory in MB."""
    sys.path.append(str(SUPPORT))
    from wandb_stand_in import stand_in

    with tempfile.TemporaryDirectory() as folder, stand_in() as server:
        environment = (
            os.environ
            | server.environment()
            | {
                "WANDB_SILENT": "true",
                "WANDB_ERROR_REPORTING": "false",
                "WANDB_DIR": folder,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_raylet_start_wait_time_s": "300",  # of a busy machine
                "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
            }
        )
        child = subprocess.Popen(
            [sys.executable, __file__, "--arm", arm, "--seconds", str(seconds), folder],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        used: dict[int, float] = {}
        most_processes, most_bytes = 0, 0
        root = psutil.Process(child.pid)
        while child.poll() is None:
            count, resident = 0, 0
            for process in [root, *root.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    memory = process.memory_info().rss
                except psutil.Error:
                    continue
                used[process.pid] = times.user + times.system
                count, resident = count + 1, resident + memory
            most_processes, most_bytes = max(most_processes, count), max(most_bytes, resident)
            time.sleep(0.5)
        assert child.stdout is not None
        lines = [line for line in child.stdout if line.startswith("FIT ")]
        if not lines:
            raise RuntimeError(
                f"the search of {arm} failed: a busy machine may be too slow for Ray"
            )
        (line,) = lines
        arrived = sum(len(run["history"]) for run in server.everything()["runs"].values())
        wanted = 0 if arm == "none" else TRIALS * seconds
        if arrived < wanted:
            print(f"{arm}: {arrived} of {wanted} reports arrived")
        return float(line.split()[1]), sum(used.values()), most_processes, most_bytes / 2**20


def tried_again(arm: str, seconds: int) -> tuple[float, float, int, float]:
    """A measurement; Ray does not always come up on a busy machine."""
    for _ in range(TRIES - 1):
        try:
            return measure(arm, seconds)
        except RuntimeError as error:
            print(error, flush=True)
    return measure(arm, seconds)


def main() -> None:
    """Print each arm's median over the rounds, and what it adds to none."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--arm", choices=ARMS)
    parser.add_argument("folder", nargs="?")
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm, options.seconds, Path(options.folder))
        return
    found: dict[str, list[tuple[float, float, int, float]]] = {arm: [] for arm in ARMS}
    for number in range(options.rounds):
        for place in range(len(ARMS)):
            arm = ARMS[(place + number) % len(ARMS)]
            found[arm].append(tried_again(arm, options.seconds))
            print(f"round {number + 1}, {arm}: {found[arm][-1]}", flush=True)
    middle = {arm: [median(column) for column in zip(*found[arm], strict=True)] for arm in ARMS}
    plain = middle["none"]
    trial_seconds = TRIALS * options.seconds
    for arm in ARMS:
        fit, processor, processes, memory = middle[arm]
        print(
            f"{arm:<11} fit {fit:6.1f} s ({fit / plain[0]:.3f})   processor {processor:6.1f} s "
            f"({(processor - plain[1]) / trial_seconds:+.2%} of the trials' time)   "
            f"processes {processes - plain[2]:+.0f}   memory {memory - plain[3]:+.0f} MB"
        )


if __name__ == "__main__":
    main()
