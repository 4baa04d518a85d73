"""An export of the tiny data set, written in a second."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from toy import recipe, trial_data

from tripletune.spaces import Recipe
from tripletune.trainables import Trial, make_bundle, prepare, write_bundle

SCORES: dict[str, Any] = {"selection": {"one_shot_accuracy": 0.5, "interval": [0.4, 0.6]}}


def trained(steps: int = 3, **changes: object) -> Trial:
    """A trial after a few steps."""
    made: Recipe = recipe(**changes)
    trial = Trial(made, prepare(trial_data(), made.evaluation, torch.device("cpu")))
    trial.train(steps)
    return trial


def write_export(trial: Trial, folder: Path) -> Path:
    """Export a trial of the tiny data set."""
    data = trial_data()
    bundle = make_bundle(trial.state_dict(), trial.recipe, data.preprocessing, data.validation)
    write_bundle(bundle.files, SCORES | {"recipe": bundle.recipe.digest}, folder)
    return folder


def with_hashes(folder: Path) -> Path:
    """Write the hashes of the files as they are now, as whoever forges an export would."""
    scores = json.loads((folder / "scores.json").read_text())
    scores["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in scores["files"]
    }
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder
