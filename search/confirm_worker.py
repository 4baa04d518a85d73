"""The process that trains finalists again: one run after another, each from its own seed."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spaces import Recipe
from ..trainables import PreparedData, Trial, default_device, prepare
from ..trainables.collapse import SMALLEST_SPREAD
from .ray_trial import resume_newest
from .shipping import Mapped, receive

if TYPE_CHECKING:
    import ray

    from ..trainables import TrialData


class ConfirmWorker:
    """Runs in an actor of Ray; keeps torch and the data between runs."""

    def __init__(
        self,
        datasets: "Mapping[str, Mapped | ray.ObjectRef[TrialData]]",
        threads: int,
        uses_gpu: bool,
    ) -> None:
        """Take over the data.

        Args:
            datasets: Training and validation sets by the key of their `data` section.
            threads: CPU threads of a run.
            uses_gpu: Whether runs are on a GPU.
        """
        self._datasets = datasets
        self._threads = threads
        self._device = default_device(is_gpu_allowed=uses_gpu)
        self._prepared: dict[object, PreparedData] = {}

    def run(self, recipe: dict[str, Any], checkpoint: str) -> dict[str, Any]:
        """Train a recipe to its end and score it on fresh episodes.

        Args:
            recipe: As `Recipe.to_dict` gives it.
            checkpoint: File to go on from, and to write at every report.

        Returns:
            `accuracy`, `scores` of each episode, `episodes` (their hash), `seconds` and
            `is_collapsed`; or `failure` and `traceback`.
        """
        try:
            return self._run(Recipe.model_validate(recipe), Path(checkpoint))
        except Exception as error:  # the run's edge: any failure becomes a record
            return {
                "failure": " ".join(f"{type(error).__name__}: {error}".split()),
                "traceback": "".join(traceback.format_exception(error)),
            }

    def _run(self, recipe: Recipe, checkpoint: Path) -> dict[str, Any]:
        if recipe.compute.threads is None:
            compute = recipe.compute.model_copy(update={"threads": self._threads})
            recipe = recipe.model_copy(update={"compute": compute})
        data = self._data_of(recipe)

        def load(path: Path) -> Trial:
            return Trial.resumed(recipe, data, path)

        trial = resume_newest(load, [str(checkpoint)]) or Trial(recipe, data)
        while not trial.is_done:
            trial.train_to_report()
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            trial.save(checkpoint)
        report = trial.evaluate()
        return {
            "accuracy": report.one_shot_accuracy,
            "scores": trial.episode_scores.astype("float32"),
            "episodes": data.episodes.digest,
            "seconds": report.seconds,
            "is_collapsed": report.spread < SMALLEST_SPREAD,
        }

    def _data_of(self, recipe: Recipe) -> PreparedData:
        key = (recipe.data.key, recipe.evaluation)
        if key not in self._prepared:
            self._prepared[key] = prepare(
                receive(self._datasets[recipe.data.key]),
                recipe.evaluation,
                self._device,
                stream="confirm",
            )
        return self._prepared[key]
