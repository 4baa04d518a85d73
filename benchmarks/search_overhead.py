"""What the engine itself costs: reports a second, and seconds a trial as a study grows.

Nothing is trained and no Ray is started: the study is driven as the recorder drives it. `reports`
writes reports of four trials in turn into each storage, with this project and with stock Optuna
(`trial.report` and one user attribute, as any search that keeps more than a score has to), in one
process, one after the other. `trials` times suggestion, start, five reports and end of one trial
at growing sizes of a study, by the wall and of the processor (which other work on the machine
barely changes), and tells the memory of the process; the study is filled by random draws before.

    python benchmarks/search_overhead.py reports --reports 4000
    python benchmarks/search_overhead.py trials --sizes 100 1000 10000
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tripletune.search.folder import StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.study import Study
from tripletune.search.study_settings import StudySettings
from tripletune.search.suggestions import sampler_of
from tripletune.spaces import Space
from tripletune.trainables.report import Report

NUM_TRIALS = 4
REPORTS_A_TRIAL = 5
MEASURED = 20
"""Trials that are timed at each size."""

HEALTHY: dict[str, Any] = {
    "loss": 1.0,
    "active_share": 0.5,
    "spread": 0.9,
    "effective_rank": 20.0,
    "mean_positive_distance": 0.5,
    "mean_negative_distance": 1.2,
    "embedding_norm": 3.0,
    "collapse_gap": 0.4,
    "images_per_second": 900.0,
    "is_collapsed": False,
}


def report_at(step: int, accuracy: float) -> Report:
    """A healthy report."""
    return Report(step, accuracy, accuracy - 0.01, accuracy + 0.01, seconds=float(step), **HEALTHY)


def new_study(folder: Path, database: str, sampler: str = "random") -> Study:
    """A study over the preset `quickstart`, without its data."""
    space = Space.load("quickstart")
    options = SearchOptions(sampler=sampler, database=database)  # type: ignore[arg-type]
    settings = StudySettings(
        space.text, options.to_dict(), {}, "", {}, {}, database=options.database
    )
    return Study.create(StudyFolder(folder / f"study-{uuid.uuid4().hex[:8]}"), settings)


def ours(folder: Path, database: str, num_reports: int) -> float:
    """Reports a second of this project, all of them on the disk at the end."""
    study = new_study(folder, database)
    numbers = [study.ask(study.space).number for _ in range(NUM_TRIALS)]
    for number in numbers:
        study.start(number)
    begin = time.perf_counter()
    for step in range(1, num_reports // NUM_TRIALS + 1):
        for number in numbers:
            study.report(number, report_at(step, 0.5))
    study.flush()
    return num_reports / (time.perf_counter() - begin)


def stock(folder: Path, database: str, num_reports: int) -> float:
    """The same of Optuna by itself."""
    journal = JournalStorage(JournalFileBackend(str(folder / f"{uuid.uuid4().hex[:8]}.log")))
    storage = journal if database == "journal" else database
    study = optuna.create_study(storage=storage, study_name=uuid.uuid4().hex[:8])
    trials = [study.ask() for _ in range(NUM_TRIALS)]
    begin = time.perf_counter()
    for step in range(1, num_reports // NUM_TRIALS + 1):
        for trial in trials:
            trial.report(0.5, step)
            trial.set_user_attr(f"report:{step:08d}", report_at(step, 0.5).to_dict())
    return num_reports / (time.perf_counter() - begin)


def compare_reports(num_reports: int, stock_reports: int) -> dict[str, Any]:
    """Both, in a journal and in SQLite."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("journal", "sqlite"):
            place = kind if kind == "journal" else f"sqlite:///{folder}/{kind}.db"
            theirs = stock(folder, place.replace(kind + ".db", "stock.db"), stock_reports)
            mine = ours(folder, place, num_reports)
            found[kind] = {
                "reports_a_second": round(mine),
                "stock_reports_a_second": round(theirs),
                "ratio": round(mine / theirs, 1),
            }
    return found


def one_trial(study: Study, space: Space) -> tuple[float, float]:
    """Seconds of the engine for one trial: by the wall, and of the processor."""
    begin, processor = time.perf_counter(), time.process_time()
    record = study.ask(space)
    study.start(record.number)
    for index in range(1, REPORTS_A_TRIAL + 1):
        step = record.recipe.budget.steps * index // REPORTS_A_TRIAL
        level = 0.3 + 0.6 * (int(record.recipe.digest[:6], 16) % 997) / 997
        study.report(record.number, report_at(step, level * index / REPORTS_A_TRIAL))
    study.finish(record.number)
    return time.perf_counter() - begin, time.process_time() - processor


def grow(sizes: list[int]) -> list[dict[str, Any]]:
    """Milliseconds a trial, and the memory of the process, at each size of a study."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        study = new_study(Path(name), "journal")
        space, options = study.space, dict(study.settings.options)
        for size in sizes:
            study._study.sampler = sampler_of(options | {"sampler": "random"}, space)
            while len(study.records()) < size:
                for _ in range(min(100, size - len(study.records()))):
                    one_trial(study, space)
            study._study.sampler = sampler_of(options | {"sampler": "tpe"}, space)
            walls, processors = zip(
                *(one_trial(study, space) for _ in range(MEASURED)), strict=True
            )
            begin = time.perf_counter()
            reader = Study.open(replace(study.folder))
            reader.leaderboard()
            found.append(
                {
                    "trials": size,
                    "ms_a_trial": round(1e3 * statistics.median(walls), 1),
                    "processor_ms_a_trial": round(1e3 * statistics.median(processors), 1),
                    "leaderboard_s": round(time.perf_counter() - begin, 2),
                    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
            )
    return found


def main() -> None:
    """Print what is asked for as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("reports", "trials"))
    parser.add_argument("--reports", type=int, default=4000)
    parser.add_argument("--stock-reports", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if arguments.what == "reports":
        found: Any = compare_reports(arguments.reports, arguments.stock_reports)
    else:
        found = grow(arguments.sizes)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
