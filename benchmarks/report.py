"""Builds and opens the report of a large made-up study: seconds and bytes.

    python benchmarks/report.py --trials 2000

The trials are drawn from the space `quickstart` at random and told made-up curves; nothing is
trained, so the page has no section of the best model. It is opened in a headless Chromium by
Playwright: until the first table and chart stand there, and until everything does.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tripletune.search.folder import StudyFolder
from tripletune.search.options import SearchOptions
from tripletune.search.report.page import write_report
from tripletune.search.study import Study, StudySettings, versions
from tripletune.search.suggesting import suggest
from tripletune.spaces import Space
from tripletune.trainables.report import Report

PROGRAMS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = made_up(Path(folder) / "made-up", arguments.trials)
        began, used = time.perf_counter(), time.process_time()
        path = Path(folder) / "report.html"
        write_report(Study.open(study.folder), path)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        print(
            f"{arguments.trials} trials: built in {seconds:.1f} s ({used:.1f} s of a processor), "
            f"{path.stat().st_size:,} bytes"
        )
        for width, height in ((1440, 900), (390, 844)):
            first, whole, used = opened(path, width, height)
            print(
                f"opened at {width} px: first screen {first:.2f} s, all of it {whole:.2f} s "
                f"({used:.2f} s of a processor in the page's thread)"
            )


def made_up(folder: Path, num_trials: int) -> Study:
    """A study of trials that were told, not trained."""
    space = Space.load("quickstart")
    data = space.data_configs()[0]
    settings = StudySettings(
        space=space.text,
        options=SearchOptions(trials=num_trials, wandb="off").to_dict(),
        data={
            data.key: {
                "fingerprint": "made up",
                "split": "made up",
                "preprocessing": {"image_size": 32, "color": "grey", "invert": True},
                "notes": [],
            }
        },
        episodes="made up",
        baselines={"pixel_1nn": {"one_shot_accuracy": 0.27, "interval": [0.26, 0.28]}},
        versions=versions(),
    )
    study = Study.create(StudyFolder(folder), settings)
    random = np.random.default_rng(0)
    trials = [_trial(space, random) for _ in range(num_trials)]
    storage = JournalStorage(JournalFileBackend(str(study.folder.journal)))
    optuna.load_study(study_name=study.name, storage=storage).add_trials(trials)
    return study


def _trial(space: Space, random: np.random.Generator) -> optuna.trial.FrozenTrial:
    own = optuna.create_study(sampler=optuna.samplers.RandomSampler(int(random.integers(2**31))))
    trial = own.ask()
    recipe = space.build(lambda name, distribution: suggest(trial, name, distribution))
    top = 0.85 - 0.2 * abs(math.log10(recipe.optimizer.learning_rate) + 2.3)
    top -= 0.03 * float(random.random())
    stop = int(random.choice([50, 150, 300], p=[0.6, 0.2, 0.2]))
    reports = {}
    for step in range(50, stop + 1, 50):
        score = top * (1 - 0.7 * math.exp(-step / 60))
        reports[step] = Report(
            step=step,
            one_shot_accuracy=score,
            interval_low=score - 0.009,
            interval_high=score + 0.009,
            loss=2 * math.exp(-step / 100),
            active_share=0.5,
            spread=0.8,
            effective_rank=20.0,
            mean_positive_distance=0.5,
            mean_negative_distance=1.2,
            embedding_norm=3.0,
            collapse_gap=0.4,
            seconds=step / (10 + 10 * float(random.random())),
            images_per_second=2000 + 3000 * float(random.random()),
            is_collapsed=False,
        )
    state = optuna.trial.TrialState.COMPLETE if stop == 300 else optuna.trial.TrialState.PRUNED
    return optuna.trial.create_trial(
        state=state,
        value=reports[stop].one_shot_accuracy,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={
            "recipe": recipe.to_dict(),
            "attempts": 1,
            **{f"report:{step:08d}": report.to_dict() for step, report in reports.items()},
        },
        intermediate_values={step: r.one_shot_accuracy for step, r in reports.items()},
    )


def opened(path: Path, width: int, height: int) -> tuple[float, float, float]:
    """Seconds until the first screen is drawn and until all is, and those of its thread."""
    from playwright.sync_api import sync_playwright

    program = next((name for name in PROGRAMS if Path(name).exists()), None)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        inside = page.context.new_cdp_session(page)
        inside.send("Performance.enable", {"timeDomain": "threadTicks"})
        began = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector(".board tbody tr")
        page.wait_for_function("document.querySelector('canvas').plot.spots !== undefined")
        first = time.perf_counter() - began
        page.wait_for_selector("html[data-ready=true]")
        whole = time.perf_counter() - began
        metrics = inside.send("Performance.getMetrics")["metrics"]
        used = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        browser.close()
    return first, whole, used


if __name__ == "__main__":
    main()
