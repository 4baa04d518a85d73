"""What one driver does for 1, 10, 100 and 1,000 workers: the study's part, on a clock of its own.

Trials are simulated: no training, no Ray, no waiting. Each worker reports ten times a trial; the
driver asks the sampler and keeps starts, reports and ends in the journal, as it does in
a search. What that costs the driver is measured; how fast workers may report follows from it.

    python benchmarks/scaling.py --workers 1 10 100 1000
"""

import argparse
import heapq
import random
import resource
import tempfile
import time
from pathlib import Path

from tripletune.search.folder import StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.study import Study, StudySettings, versions
from tripletune.spaces import Space
from tripletune.trainables.report import Report

REPORTS = 10
LEAST_TRIALS = 40


def report_of(step: int, accuracy: float) -> Report:
    """One with as many numbers as a trial's."""
    return Report(
        step=step,
        one_shot_accuracy=accuracy,
        interval_low=accuracy - 0.01,
        interval_high=accuracy + 0.01,
        loss=1.0,
        active_share=0.5,
        spread=0.9,
        effective_rank=20.0,
        mean_positive_distance=0.5,
        mean_negative_distance=1.0,
        embedding_norm=1.0,
        collapse_gap=0.5,
        seconds=float(step),
        images_per_second=1000.0,
        is_collapsed=False,
    )


def simulate(workers: int, sampler: str, seed: int = 0) -> dict[str, float]:
    """One search of two trials a worker, and at least 40.

    Returns:
        Trials, processor milliseconds of a suggestion (median, 95th percentile and worst) and of a
        report, reports a second that one driver keeps up with, megabytes of the
        journal and of the process.
    """
    space = Space.load("quickstart")
    draw = random.Random(seed)
    trials = max(LEAST_TRIALS, 2 * workers)
    asked: list[float] = []
    reporting = 0.0
    with tempfile.TemporaryDirectory() as folder:
        options = SearchOptions(trials=trials, sampler=sampler, wandb="off")  # type: ignore[arg-type]
        settings = StudySettings(
            space=space.text,
            options=options.to_dict(),
            data={},
            episodes="",
            baselines={},
            versions=versions(),
        )
        study = Study.create(StudyFolder(Path(folder) / "simulated"), settings)

        def begin(now: float) -> tuple[float, int, int, float, float]:
            start = time.process_time()
            record = study.ask(space)
            asked.append(time.process_time() - start)
            study.start(record.number)
            pace, level = draw.lognormvariate(0.0, 0.3), draw.uniform(0.3, 0.9)
            return (now + pace, record.number, 1, pace, level)

        events = [begin(0.0) for _ in range(min(workers, trials))]
        heapq.heapify(events)
        while events:
            now, number, step, pace, level = heapq.heappop(events)
            start = time.process_time()
            study.report(
                number, report_of(step * 30, level * step / REPORTS), is_last=step == REPORTS
            )
            if step < REPORTS:
                heapq.heappush(events, (now + pace, number, step + 1, pace, level))
            else:
                study.finish(number)
            reporting += time.process_time() - start
            if step == REPORTS and len(asked) < trials:
                heapq.heappush(events, begin(now))
        journal = study.folder.journal.stat().st_size
    asked.sort()
    num_reports = trials * REPORTS
    return {
        "workers": workers,
        "trials": trials,
        "ask_median_ms": 1e3 * asked[len(asked) // 2],
        "ask_p95_ms": 1e3 * asked[int(0.95 * len(asked))],
        "ask_worst_ms": 1e3 * asked[-1],
        "cpu_ms_per_report": 1e3 * reporting / num_reports,
        "reports_per_s": num_reports / reporting,
        "journal_mb": journal / 2**20,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print one row a number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"])
    arguments = parser.parse_args()
    header = None
    for sampler in arguments.samplers:
        for workers in arguments.workers:
            row = simulate(workers, sampler)
            if header is None:
                header = ["sampler", *row]
                print("  ".join(f"{name:>17s}" for name in header), flush=True)
            values = [f"{value:.4g}" for value in row.values()]
            print("  ".join(f"{value:>17s}" for value in (sampler, *values)), flush=True)


if __name__ == "__main__":
    main()
