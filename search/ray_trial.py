"""The trial as Ray Tune runs it: one actor serves many trials, one after another.

The actor keeps torch, the data and the episodes, so that a trial after the first starts at once.
A trial that fails says so in a result of its own: the actor lives on and the reason is kept.
"""

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, ClassVar, Final

import ray
from ray import tune

from ..cluster.storage import StorageError, local_file
from ..spaces import EvaluationConfig, Recipe
from .folder import CHECKPOINT_FILE
from .leaderboard import METRIC
from .process_usage import ProcessUsage
from .rungs import rung_steps

# torch takes seconds to import: here where a trial begins, not where the names below are read.
if TYPE_CHECKING:
    import torch

    from ..trainables import PreparedData, Trial, TrialData
    from ..trainables.episodes import Episodes
    from .shipping import Mapped

NUMBER: Final = "number"
RECIPE: Final = "recipe"
THREADS: Final = "threads"
USES_GPU: Final = "uses_gpu"
RESUME_FROM: Final = "resume_from"
GPUS: Final = "gpus"
RETRY: Final = "retry"
LAST_STEP: Final = "last_step"
"""Of the last report that the study has: a checkpoint ahead of it would leave a hole."""

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


def malformed(result: Mapping[str, Any]) -> str | None:
    """Why a result is neither a report nor a failure; None if it is one of them."""
    if FAILURE in result:
        return None
    accuracy = result.get(METRIC)
    if accuracy is None or not isinstance(result.get(REPORT), Mapping):
        return f"its report has no {METRIC}"
    if not math.isfinite(accuracy):
        return f"{METRIC} must be finite, got {accuracy}"
    return None


class RayTrial(tune.Trainable):
    """Runs one recipe after another; see `Trial` for what a trial does."""

    checkpoint_share: ClassVar[float] = 0.05
    """Most of its time that a trial may spend on checkpoints."""

    _trial: "Trial | None"
    _datasets: Mapping[str, "Mapped | ray.ObjectRef[TrialData]"]
    _prepared: "dict[tuple[str, EvaluationConfig], PreparedData]"
    _reserves: "dict[tuple[str, EvaluationConfig], Episodes]"

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
            from ..trainables.gpu_memory import is_out_of_memory

            self._has_failed = True
            # What the broken step left behind must not become a checkpoint.
            self._trial = None if is_out_of_memory(error) else self._trial
            return {
                OUT_OF_MEMORY: is_out_of_memory(error),
                FAILURE: " ".join(f"{type(error).__name__}: {error}".split()),
                TRACEBACK: "".join(traceback.format_exception(error)),
                tune.result.DONE: True,
            }
        peak = self._peak_bytes()
        report = replace(report, **self._usage.since_last(peak))
        return self._reserve_scores(report.step) | {
            STEP: report.step,
            METRIC: report.one_shot_accuracy,
            REPORT: report.to_dict(),
            EPISODE_SCORES: self._trial.episode_scores.astype("float32"),
            PEAK_BYTES: peak,
            tune.result.DONE: self._trial.is_done or report.is_collapsed,
            tune.result.SHOULD_CHECKPOINT: self._is_checkpoint_due(),
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
        from ..trainables.episodes import draw_episodes

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
            begin = time.monotonic()
            self._trial.save(Path(checkpoint_dir) / CHECKPOINT_FILE)
            self._saved_at = time.monotonic()
            self._save_s = self._saved_at - begin

    def _is_checkpoint_due(self) -> bool:
        """Whether the last one is old enough: reports may come faster than they can be written."""
        return self._save_s <= self.checkpoint_share * (time.monotonic() - self._saved_at)

    def load_checkpoint(self, checkpoint_dir: str | dict[Any, Any] | None) -> None:
        """Go on from a state that Ray Tune kept (the actor or its node was lost)."""
        if self._trial is not None and isinstance(checkpoint_dir, str):
            newest = str(Path(checkpoint_dir) / CHECKPOINT_FILE)
            again = {RESUME_FROM: [newest, *self._config[RESUME_FROM]], LAST_STEP: sys.maxsize}
            self._begin({**self._config, **again})

    def _begin(self, config: dict[str, Any]) -> None:
        self._config = config
        self._trial = None
        self._saved_at = time.monotonic()
        self._save_s = 0.0
        self._problem: Exception = RuntimeError("the trial was never begun")
        self._usage = ProcessUsage()
        try:
            recipe = Recipe.model_validate(config[RECIPE])
            if recipe.compute.threads is None:
                compute = recipe.compute.model_copy(update={"threads": config[THREADS]})
                recipe = recipe.model_copy(update={"compute": compute})
            self._trial = self._build(recipe)
        except Exception as error:  # reported by the first step, which is the trial's edge
            self._problem = error

    def _build(self, recipe: Recipe) -> "Trial":
        """The trial at its newest checkpoint, or at its beginning."""
        from ..trainables import Trial
        from ..trainables.gpu_memory import begin_peak

        begin_peak(self._device())
        data = self._data_of(recipe)

        def load(path: Path) -> Trial:
            return Trial.resumed(recipe, data, path)

        checkpoints, step = self._config[RESUME_FROM], self._config[LAST_STEP]
        return resume_newest(load, checkpoints, at_most=step) or Trial(recipe, data)

    def _peak_bytes(self) -> int:
        """Most memory of the device that the trial held so far; 0 where that is not measured."""
        from ..trainables.gpu_memory import peak_bytes

        return peak_bytes(self._device())

    def _data_of(self, recipe: Recipe) -> "PreparedData":
        from ..trainables import prepare
        from .shipping import receive

        key = (recipe.data.key, recipe.evaluation)
        if key not in self._prepared:
            data = receive(self._datasets[key[0]])
            self._prepared[key] = prepare(data, recipe.evaluation, self._device())
        return self._prepared[key]

    def _device(self) -> "torch.device":
        from ..trainables import default_device

        return default_device(is_gpu_allowed=self._config[USES_GPU])


def resume_newest(
    load: "Callable[[Path], Trial]", checkpoints: Sequence[str], *, at_most: int = sys.maxsize
) -> "Trial | None":
    """The trial at its newest checkpoint that can be read; a torn one was being written.

    Args:
        load: Reads one.
        checkpoints: Of the trial, the newest first.
        at_most: Step that it must not be ahead of, that of the study's last report.

    Raises:
        ValueError: If a checkpoint is whole but of another recipe.
    """
    for path in checkpoints:
        try:
            with local_file(path) as file:
                trial = load(file)
        except (OSError, EOFError, KeyError, RuntimeError, UnpicklingError, StorageError):
            continue  # what torch raises for a torn file; the next is older
        if trial.step <= at_most:
            return trial
    return None
