"""A trial that trains nothing and starts without torch: steps, reports, checkpoints."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tripletune.search.ray_trial import LAST_STEP, RESUME_FROM, RayTrial, resume_newest
from tripletune.spaces import Recipe
from tripletune.trainables import Trial
from tripletune.trainables.report import Report


class ToyTrial:
    """What `Trial` is to `RayTrial`, whose score is a function of its recipe and its step."""

    def __init__(self, recipe: Recipe, step: int = 0) -> None:
        self.recipe = recipe
        self.step = step
        self.episode_scores: NDArray[np.float64] = np.zeros(4)

    @property
    def is_done(self) -> bool:
        return self.step >= self.recipe.budget.steps

    def train_to_report(self) -> None:
        self.step = min(self.recipe.budget.steps, self.step + self.recipe.budget.report_every)

    def evaluate(self) -> Report:
        accuracy = accuracy_of(self.recipe, self.step)
        self.episode_scores = np.full(4, accuracy)
        return toy_report(self.step, accuracy)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"step": self.step, "recipe": self.recipe.digest}))

    @classmethod
    def resumed(cls, recipe: Recipe, path: Path) -> "ToyTrial":
        try:
            state = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise EOFError("a torn checkpoint") from error
        assert state["recipe"] == recipe.digest
        return cls(recipe, state["step"])


class ToyRayTrial(RayTrial):
    """The real actor around it: its steps, failures, checkpoints and resumption."""

    def _build(self, recipe: Recipe) -> Trial:
        def load(path: Path) -> Trial:
            return cast(Trial, ToyTrial.resumed(recipe, path))

        checkpoints, step = self._config[RESUME_FROM], self._config[LAST_STEP]
        return resume_newest(load, checkpoints, at_most=step) or cast(Trial, ToyTrial(recipe))

    def _reserve_scores(self, step: int) -> dict[str, Any]:
        return {}

    def _peak_bytes(self) -> int:
        return 1000


def accuracy_of(recipe: Recipe, step: int) -> float:
    """Rises with the steps towards a level that the recipe decides."""
    level = 0.3 + 0.6 * (int(recipe.digest[:6], 16) % 1000) / 1000
    return round(level * step / recipe.budget.steps, 6)


def toy_report(step: int, accuracy: float) -> Report:
    """A healthy report."""
    plain: Mapping[str, Any] = {
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
    low, high = accuracy - 0.01, accuracy + 0.01
    return Report(step, accuracy, low, high, seconds=step / 4, **plain)
