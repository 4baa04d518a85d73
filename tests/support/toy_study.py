"""A study with trials of every kind, made without training: fast, and the same each time."""

import json
from dataclasses import replace
from pathlib import Path

from reports import report
from toy_search import toy_options
from toy_space import SPACE

from tripletune.search.folder import StudyFolder
from tripletune.search.study import Study
from tripletune.search.study_settings import StudySettings, versions
from tripletune.spaces import Space

DATA = {
    "toy": {
        "fingerprint": "f1" * 32,
        "split_digest": "5b" * 32,
        "classes": 16,
        "preprocessing": {"image_size": 16, "color": "grey", "invert": False},
    }
}
BASELINES = {"pixel_1nn": {"one_shot_accuracy": 0.31, "interval": [0.29, 0.33]}}


def empty_study(path: Path, trials: int = 6, **options: object) -> Study:
    """A study without trials.

    Args:
        path: Its folder; the last part is its name.
        trials: How many it shall get.
        options: Of the search.
    """
    settings = StudySettings(
        space=Space.from_text(SPACE, origin="toy.yaml").text,
        options=toy_options(trials, **options).to_dict(),
        data=DATA,
        episodes="e0" * 32,
        baselines=BASELINES,
        versions=versions(),
    )
    return Study.create(StudyFolder(path.resolve()), settings)


def toy_study(path: Path, **options: object) -> Study:
    """Six trials: complete, pruned, failed, collapsed, complete in its second start, running."""
    study = empty_study(path, 6, **options)
    for number in range(6):
        study.ask(study.space)
        study.start(number)
        add_report(study, number, 2)
    add_report(study, 0, 6)
    add_report(study, 0, 18)
    study.finish(0)
    study.finish(1)
    study.report(2, report(6, 0.4, loss=float("nan")))
    study.fail(2, "loss is NaN at step 7", "Traceback ...")
    study.report(3, report(6, 0.2, is_collapsed=True))
    study.finish(3)
    study.start(4)
    study.report(4, replace(report(18, 0.9), attempt=2))
    study.finish(4)
    return study


def add_report(study: Study, number: int, step: int) -> None:
    """A report whose accuracy grows with trial and step."""
    made = report(step, 0.5 + number / 20 + step / 100, scores={"recall": step / 40})
    study.report(number, replace(made, processor_share=0.97, memory_bytes=4 * 10**8))


def write_export(study: Study) -> None:
    """Something in the place of the exported best model."""
    study.folder.best.mkdir(exist_ok=True)
    (study.folder.best / "model.safetensors").write_bytes(b"weights")
    scores = {"one_shot_accuracy": 0.9, "trial": 4}
    (study.folder.best / "scores.json").write_text(json.dumps(scores))
