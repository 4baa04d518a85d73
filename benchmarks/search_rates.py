"""The same search with stock Ray Tune and with this project, one after the other.

Both search the same files on the same cores for the same time, with a trial a core: see
`stock_search.py` for what stock means. Printed for each: trials that ended, share of the slots'
time in which trials trained or evaluated (from the first step to the last), time between two
trials of a slot, and the memory of a trial's process (proportional set size: pages that processes
share count once).
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import naive_training
import trial_start

IMAGE_SIZE = 32
SAMPLE_EVERY_S = 5.0


def steps_of(log: Path) -> list[list[tuple[str, float, float]]]:
    """Trial, begin and end of every step, a list a process, in order."""
    files = [path.read_text().splitlines() for path in sorted(log.glob("*.jsonl"))]
    return [[tuple(json.loads(line)) for line in lines] for lines in files]


def rates(log: Path, slots: int) -> dict[str, float]:
    """Share of the slots that is busy, and the median wait before a trial that is not the first.

    Where every trial has a process of its own, its start is timed from the end of the trial that
    was over last before it began.
    """
    steps = sorted((s for process in steps_of(log) for s in process), key=lambda step: step[1])
    busy = sum(end - begin for _, begin, end in steps)
    wall = max(end for _, _, end in steps) - steps[0][1]
    last_end: dict[str, float] = {}
    first_begin: dict[str, float] = {}
    for trial, begin, end in steps:
        first_begin.setdefault(trial, begin)
        last_end[trial] = end
    free = sorted(last_end.values())
    waits = []
    for begin in sorted(first_begin.values())[slots:]:
        before = [end for end in free if end <= begin]
        if before:
            waits.append(begin - before[-1])
            free.remove(before[-1])
    return {
        "trials_begun": len(first_begin),
        "slots_busy": round(busy / (wall * slots), 3),
        "trial_start_s": round(statistics.median(waits), 3) if waits else float("nan"),
    }


@contextmanager
def memory_of_trials(into: dict[str, float], log: Path) -> Iterator[None]:
    """Sample the memory of the processes that have written to the log; keep the median, in MB."""
    done = threading.Event()
    samples: list[float] = []

    def sample() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            for path in log.glob("*.jsonl"):
                with contextlib.suppress(OSError, ValueError):
                    text = Path(f"/proc/{path.stem}/smaps_rollup").read_text()
                    (line,) = [line for line in text.splitlines() if line.startswith("Pss:")]
                    samples.append(int(line.split()[1]) / 1024)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        into["memory_per_trial_mb"] = round(statistics.median(samples)) if samples else 0


def stock(folder: Path, minutes: float, log: Path, slots: int) -> dict[str, float]:
    """Stock Ray Tune, in a process of its own."""
    result: dict[str, float] = {}
    command = [sys.executable, str(Path(__file__).with_name("stock_search.py")), str(folder)]
    command += ["--minutes", str(minutes), "--image-size", str(IMAGE_SIZE), "--log", str(log)]
    with memory_of_trials(result, log):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"the stock search failed: {run.stderr[-2000:]}")
    ended = json.loads(run.stdout.splitlines()[-1])["trials_ended"]
    return {"trials_ended": ended, **rates(log, slots), **result}


def ours(folder: Path, minutes: float, log: Path, slots: int) -> dict[str, float]:
    """The quickstart space on the same files."""
    from tripletune.search import ray_trial
    from tripletune.search.options import SearchOptions
    from tripletune.search.runner import run_search
    from tripletune.spaces import Space

    space = Space.load("quickstart").with_values(
        {"data.name": "folder", "data.path": str(folder), "data.image_size": IMAGE_SIZE}
    )
    options = SearchOptions(
        trials=100_000, time_budget_s=minutes * 60, concurrency=slots, wandb="off"
    )
    result: dict[str, float] = {}
    plain = ray_trial.RayTrial
    vars(ray_trial)["RayTrial"] = trial_start.timed(log)
    try:
        with tempfile.TemporaryDirectory() as runs, memory_of_trials(result, log):
            study = run_search(space, options, name="throughput", runs=runs)
            states = [record.state for record in study.records()]
    finally:
        vars(ray_trial)["RayTrial"] = plain
    ended = sum(state in ("complete", "pruned") for state in states)
    return {"trials_ended": ended, **rates(log, slots), **result}


def compare(minutes: float) -> dict[str, Any]:
    """Both searches, and the ratio of the trials that ended."""
    slots = len(os.sched_getaffinity(0))
    found: dict[str, Any] = {"minutes": minutes, "slots": slots}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        naive_training.write_files(folder)
        for side, run in (("stock", stock), ("ours", ours)):
            log = Path(name) / side
            log.mkdir()
            found[side] = run(folder, minutes, log, slots)
    found["trials_over_stock"] = round(
        found["ours"]["trials_ended"] / max(1, found["stock"]["trials_ended"]), 2
    )
    return found
