"""Studies on disk that no search made: trials with a fate, or one that was really trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from reports import report
from toy_search import toy_options, toy_space

from tripletune.search.datasets import load_study_data
from tripletune.search.folder import CHECKPOINT_FILE, StudyFolder, trial_folder_name
from tripletune.search.study import Study
from tripletune.search.study_settings import StudySettings, versions
from tripletune.spaces import Space
from tripletune.trainables import Trial, default_device, load_trial_data, prepare

Fate = Literal["done", "stopped", "collapsed", "failed", "running", "silent"]

FAILURE = "FloatingPointError: loss is NaN at step 4 <b>&amp;</b>"
"""With what a page must not take for markup."""


def empty_study(folder: Path, images: Path) -> Study:
    """A study of the toy space without a trial."""
    space = toy_space(images)
    data = load_study_data(space, lambda _: None)
    settings = StudySettings(
        space=space.text,
        options=toy_options(4).to_dict(),
        data=data.description,
        episodes=data.episodes,
        baselines=data.baselines,
        versions=versions(),
    )
    return Study.create(StudyFolder(folder), settings)


def told_study(folder: Path, images: Path, fates: Sequence[Fate]) -> Study:
    """A study whose trials were told what became of them; `silent` failed before a report."""
    study = empty_study(folder, images)
    space = study.space
    random = np.random.default_rng(0)
    for fate in fates:
        tell(study, space, fate, float(random.uniform(0.3, 0.9)))
    return study


def tell(study: Study, space: Space, fate: Fate, score: float) -> int:
    """One more trial with a fate; its number."""
    record = study.ask(space)
    number, budget = record.number, record.recipe.budget.steps
    study.start(number)
    steps = {"done": (2, 6, budget), "stopped": (2, 6), "collapsed": (2, 4, 6)}.get(fate, (2,))
    for place, step in enumerate(() if fate == "silent" else steps):
        made = report(step, score * (0.6 + 0.4 * (place + 1) / len(steps)))
        if fate == "collapsed":
            made = replace(made, spread=0.02, is_collapsed=place == len(steps) - 1)
        study.report(number, made, is_last=step == steps[-1] and fate != "running")
    if fate in ("failed", "silent"):
        study.fail(number, FAILURE, "Traceback ...")
    elif fate != "running":
        study.finish(number)
    return number


def trained_study(folder: Path, images: Path) -> Study:
    """A study with one complete trial, trained here, whose checkpoint lies where Tune's would."""
    study = empty_study(folder, images)
    record = study.ask(study.space)
    study.start(record.number)
    prepared = prepare(
        load_trial_data(record.recipe.data),
        record.recipe.evaluation,
        default_device(is_gpu_allowed=False),
    )
    trial = Trial(record.recipe, prepared)
    while not trial.is_done:
        trial.train_to_report()
        study.report(record.number, trial.evaluate(), is_last=trial.is_done)
    place = study.folder.tune / "start" / trial_folder_name(record.number) / "checkpoint_000000"
    place.mkdir(parents=True)
    trial.save(place / CHECKPOINT_FILE)
    study.finish(record.number)
    return study
