"""The trial as Ray Tune runs it: one actor serves many trials, one after another.

The actor keeps torch, the data and the episodes, so that a trial after the first starts at once.
A trial that fails says so in a result of its own: the actor lives on and the reason is kept.
"""

import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final

import ray
from ray import tune

from ..cluster.storage import StorageError, local_file
from ..spaces import EvaluationConfig, Recipe
from ..trainables import PreparedData, Trial, TrialData, default_device, prepare
from ..trainables.episodes import Episodes, draw_episodes
from ..trainables.gpu_memory import begin_peak, is_out_of_memory, peak_bytes
from .folder import CHECKPOINT_FILE
from .process_usage import ProcessUsage
from .rungs import rung_steps
from .shipping import Mapped, receive

if TYPE_CHECKING:
    import torch

NUMBER: Final = "number"
RECIPE: Final = "recipe"
THREADS: Final = "threads"
USES_GPU: Final = "uses_gpu"
RESUME_FROM: Final = "resume_from"
GPUS: Final = "gpus"
RETRY: Final = "retry"

STEP: Final = "step"
REPORT: Final = "report"
FAILURE: Final = "failure"
TRACEBACK: Final = "traceback"
OUT_OF_MEMORY: Final = "out_of_memory"
PEAK_BYTES: Final = "peak_bytes"
EPISODE_SCORES: Final = "episode_scores"
RESERVE_SCORES: Final = "reserve_scores"

RESERVE: Final = 3
"""Episodes that only close calls are decided by, as a multiple of those of the study."""


class RayTrial(tune.Trainable):
    """Runs one recipe after another; see `Trial` for what a trial does."""

    _trial: Trial | None
    _datasets: Mapping[str, "Mapped | ray.ObjectRef[TrialData]"]
    _prepared: dict[tuple[str, EvaluationConfig], PreparedData]
    _reserves: dict[tuple[str, EvaluationConfig], Episodes]

    def setup(  # type: ignore[override]  # `tune.with_parameters` adds the data
        self, config: dict[str, Any], datasets: Mapping[str, "Mapped | ray.ObjectRef[TrialData]"]
    ) -> None:
        """Take over the shared data, once an actor, and begin the first trial."""
        self._datasets = datasets
        self._prepared = {}
        self._reserves = {}
        self._has_failed = False
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial in the same process.

        Returns:
            Whether it could: after a failure on a GPU, whose context may be broken or whose
            memory may be lost, the trial gets a process of its own.
        """
        if self._has_failed and self._config[USES_GPU]:
            return False
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next report.

        Returns:
            The step, the metric, the report and the accuracy of each episode; or the reason why
            the trial ends here.
        """
        try:
            if self._trial is None:
                raise self._problem
            if not self._trial.is_done:
                self._trial.train_to_report()
            report = self._trial.evaluate()
        except Exception as error:  # the trial's edge: any failure becomes a record
            self._has_failed = True
            # What the broken step left behind must not become a checkpoint.
            self._trial = None if is_out_of_memory(error) else self._trial
            return {
                OUT_OF_MEMORY: is_out_of_memory(error),
                FAILURE: " ".join(f"{type(error).__name__}: {error}".split()),
                TRACEBACK: "".join(traceback.format_exception(error)),
                tune.result.DONE: True,
            }
        peak = peak_bytes(self._device())
        report = replace(report, **self._usage.since_last(peak))
        return self._reserve_scores(report.step) | {
            STEP: report.step,
            "one_shot_accuracy": report.one_shot_accuracy,
            REPORT: report.to_dict(),
            EPISODE_SCORES: self._trial.episode_scores.astype("float32"),
            PEAK_BYTES: peak,
            tune.result.DONE: self._trial.is_done or report.is_collapsed,
        }

    def _reserve_scores(self, step: int) -> dict[str, Any]:
        """At a rung, where trials are compared, the accuracy of each episode of the reserve.

        All trials are scored on it there: whom a later one will be close to is not known yet. The
        images are embedded already, so it takes a hundredth of a second.
        """
        assert self._trial is not None
        recipe = self._trial.recipe
        if (
            step not in rung_steps(recipe.budget.steps, recipe.budget.report_every)
            or recipe.task.FACTS.metric != "one_shot_accuracy"
        ):
            return {}
        key = (recipe.data.key, recipe.evaluation)
        if key not in self._reserves:
            more = {"episodes": RESERVE * recipe.evaluation.episodes}
            self._reserves[key] = draw_episodes(
                self._prepared[key].data.validation,
                recipe.evaluation.model_copy(update=more),
                stream="reserve",
            )
        return {RESERVE_SCORES: self._trial.score(self._reserves[key]).astype("float32")}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the trial's state; a failed trial has none."""
        if self._trial is not None:
            self._trial.save(Path(checkpoint_dir) / CHECKPOINT_FILE)

    def load_checkpoint(self, checkpoint_dir: str | dict[Any, Any] | None) -> None:
        """Go on from a state that Ray Tune kept (the actor or its node was lost)."""
        if self._trial is not None and isinstance(checkpoint_dir, str):
            newest = str(Path(checkpoint_dir) / CHECKPOINT_FILE)
            self._begin({**self._config, RESUME_FROM: [newest, *self._config[RESUME_FROM]]})

    def _begin(self, config: dict[str, Any]) -> None:
        self._config = config
        self._trial = None
        self._problem: Exception = RuntimeError("the trial was never begun")
        self._usage = ProcessUsage()
        try:
            begin_peak(self._device())
            recipe = Recipe.model_validate(config[RECIPE])
            if recipe.compute.threads is None:
                compute = recipe.compute.model_copy(update={"threads": config[THREADS]})
                recipe = recipe.model_copy(update={"compute": compute})
            data = self._data_of(recipe)
            self._trial = _resume_newest(recipe, data, config[RESUME_FROM]) or Trial(recipe, data)
        except Exception as error:  # reported by the first step, which is the trial's edge
            self._problem = error

    def _data_of(self, recipe: Recipe) -> PreparedData:
        key = (recipe.data.key, recipe.evaluation)
        if key not in self._prepared:
            data = receive(self._datasets[key[0]])
            self._prepared[key] = prepare(data, recipe.evaluation, self._device())
        return self._prepared[key]

    def _device(self) -> "torch.device":
        return default_device(is_gpu_allowed=self._config[USES_GPU])


def _resume_newest(recipe: Recipe, data: PreparedData, checkpoints: list[str]) -> Trial | None:
    """The trial at its newest checkpoint that can be read; a torn one was being written.

    Raises:
        ValueError: If a checkpoint is whole but of another recipe.
    """
    for path in checkpoints:
        try:
            with local_file(path) as file:
                return Trial.resumed(recipe, data, file)
        except (OSError, EOFError, KeyError, RuntimeError, UnpicklingError, StorageError):
            continue  # what torch raises for a torn file; the next is older
    return None
