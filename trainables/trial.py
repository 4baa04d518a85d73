"""One trial: train an encoder by its recipe, evaluate it, stop and go on at any step.

No Ray in here: the same class runs a trial of a search, `tripletune train` and the tests.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..spaces import ComputeConfig, Recipe, is_frozen
from .allocator import keep_freed_memory
from .collapse import collapse_signs, is_collapsed, spread_pairs
from .compiling import in_mode
from .compute import decide_compute
from .embedding import embed
from .embedding_sizes import principal_axes, score_sizes, some_rows
from .encoders import Encoder, build_encoder
from .episodes import Episodes, score_episodes
from .evaluation import mean_with_interval
from .features import embed_features, require_same_backbone, shared_features
from .losses import Objective
from .miners import bank_of
from .optimization import WeightAverage, build_optimizer, learning_rate_at, set_learning_rate
from .precision import gradient_scaler
from .prepared import PreparedData
from .reader import BatchReader
from .report import Report
from .sampler import Batch
from .tasks import TASKS, Network, TaskBuilder
from .whole_file import whole_file


class Trial:
    """Trains and evaluates one recipe.

    Every random draw of a step comes from the recipe's seed and the step's number, so a trial that
    goes on from a checkpoint repeats the interrupted one bit for bit on the same processor, with
    the same precision and number of threads. GPUs sum in varying order, so there it repeats it to
    rounding.
    """

    def __init__(
        self, recipe: Recipe, prepared: PreparedData, *, build_task: TaskBuilder | None = None
    ) -> None:
        """Build encoder, objective and optimiser; nothing is trained yet.

        Args:
            recipe: What to train. Its `compute` section is filled in with what is really used.
            prepared: The data, on the device to train on.
            build_task: Makes another task than the recipe's, for a baseline.

        Raises:
            ValueError: If the recipe does not fit the data (too few classes, too small images).
        """
        data = prepared.data.train
        if recipe.compute.threads is not None:
            torch.set_num_threads(recipe.compute.threads)
        if prepared.device.type == "cpu":
            keep_freed_memory()
        self._prepared = prepared
        self._device = prepared.device
        self._encoder = build_encoder(
            recipe.encoder,
            channels=data.channels,
            image_size=data.size,
            mean=prepared.mean,
            std=prepared.std,
            seed=recipe.seed,
        ).to(self._device)
        build = build_task or TASKS[recipe.task.name]
        self._task = build(recipe, prepared, self._encoder)
        self._sampler, self._objective = self._task.sampler, self._task.objective.to(self._device)
        self._features = (
            shared_features(recipe.encoder, recipe.seed, self._encoder, prepared)
            if is_frozen(recipe.encoder)
            else None
        )
        decay = recipe.optimizer.average_decay
        self._average = WeightAverage(self._encoder, decay) if decay else None
        self._bank = bank_of(recipe.objective, data.labels, self._device)
        # What a bank chooses is known only when its step has come: nothing to read ahead. A frozen
        # backbone has read every image already.
        self._reader = (
            None
            if prepared.is_whole or self._bank is not None or self._features is not None
            else BatchReader(prepared.train_images, self._sampler, recipe.batch.size, self._device)
        )
        self._images = prepared.train_images[:0]  # of the step, where they are read ahead
        self._optimizer = build_optimizer(recipe.optimizer, self._encoder, self._objective)
        compute, self._precision, mode = decide_compute(recipe, self._shape(recipe), self._device)
        self._recipe = recipe.model_copy(update={"compute": compute})
        self._scaler = gradient_scaler(self._precision, self._device)
        forward = in_mode(mode, self._encoder, self._shape(recipe), self._precision, self._device)
        self._network = Network(
            self._encoder,
            self._encoder.embed_features if self._features else forward,
            self._precision,
            self._device,
        )
        self._generator = torch.Generator(self._device)
        self._step = 0
        self._seconds = 0.0
        self._spreads: list[float] = []
        self._episode_scores = np.empty(0)
        self._axes: Tensor | None = None
        self._start_window()

    @classmethod
    def resumed(cls, recipe: Recipe, prepared: PreparedData, path: Path) -> "Trial":
        """The trial of a checkpoint; it is read without running any code.

        It goes on with the precision and the threads of the checkpoint, whatever `auto` or the
        number of CPUs would choose now.

        Raises:
            ValueError: If the checkpoint is of another recipe.
        """
        state = torch.load(path, map_location=prepared.device, weights_only=True)
        compute = ComputeConfig(**state["compute"])
        trial = cls(recipe.model_copy(update={"compute": compute}), prepared)
        trial.load_state_dict(state)
        return trial

    @property
    def recipe(self) -> Recipe:
        """The recipe, with the precision, the threads and the mode that are really used."""
        return self._recipe

    @property
    def step(self) -> int:
        """Optimiser updates done."""
        return self._step

    @property
    def is_done(self) -> bool:
        """Whether the budget is used up."""
        return self._step >= self._recipe.budget.steps

    @property
    def episode_scores(self) -> np.ndarray:
        """Accuracy of each frozen episode at the last `evaluate`, shape (E,); empty before it."""
        return self._episode_scores

    @property
    def encoder(self) -> Encoder:
        """The encoder that is evaluated and exported: the average, where one is kept."""
        return self._average.network if self._average else self._encoder

    @property
    def training_encoder(self) -> Encoder:
        """The encoder whose weights the optimiser updates."""
        return self._encoder

    def train_to_report(self) -> None:
        """Train to the next step at which a report is due, at most to the end of the budget."""
        every, total = self._recipe.budget.report_every, self._recipe.budget.steps
        self.train(min((self._step // every + 1) * every, total) - self._step)

    def train(self, num_steps: int) -> None:
        """Make `num_steps` optimiser updates."""
        start = time.perf_counter()
        self._encoder.train()
        for _ in range(num_steps):
            self._train_step()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elapsed = time.perf_counter() - start
        self._seconds += elapsed
        self._window_seconds += elapsed

    def evaluate(self) -> Report:
        """Score the encoder on the frozen episodes and read the signs of collapse.

        Raises:
            FloatingPointError: If the loss or an embedding is not finite any more.
        """
        start = time.perf_counter()
        loss = float(self._loss_sum) / max(1, self._window_steps)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {self._step}")
        raw = (
            embed_features(self.encoder, self._features.validation)
            if self._features
            else embed(self.encoder, self._prepared.validation_images, unit_norm=False)
        )
        if not bool(torch.isfinite(raw).all()):
            raise FloatingPointError(f"an embedding is not finite at step {self._step}")
        embeddings = normalize(raw, dim=1) if self._recipe.objective.unit_norm else raw
        self._embeddings = embeddings
        self._episode_scores = self._task.units(self.encoder, embeddings)
        lowest = self._recipe.task.FACTS.lowest
        score = mean_with_interval(self._episode_scores, lowest=lowest)
        some = spread_pairs(len(raw))
        labels = self._prepared.data.validation.labels[some]
        signs = collapse_signs(raw[some], torch.from_numpy(labels))
        self._spreads.append(signs.spread)
        sizes = self._score_sizes(embeddings) if self.is_done else {}
        self._seconds += time.perf_counter() - start
        report = Report(
            step=self._step,
            one_shot_accuracy=score.one_shot_accuracy,
            interval_low=score.low,
            interval_high=score.high,
            loss=loss,
            active_share=float(self._active_sum) / max(1, self._window_steps),
            spread=signs.spread,
            effective_rank=signs.effective_rank,
            mean_positive_distance=signs.mean_positive_distance,
            mean_negative_distance=signs.mean_negative_distance,
            embedding_norm=signs.embedding_norm,
            collapse_gap=abs(loss - self._task.collapse_value(raw.mean(dim=0))),
            seconds=self._seconds,
            images_per_second=self._images_per_second(),
            is_collapsed=is_collapsed(self._spreads),
            scores=dict(self._task.scores(self.encoder, embeddings)),
            sizes=sizes,
        )
        self._start_window()
        return report

    def score(self, episodes: Episodes) -> np.ndarray:
        """Accuracy of each of some other episodes, shape (E,), by what `evaluate` embedded."""
        return score_episodes(self._embeddings, episodes)

    def _score_sizes(self, embeddings: Tensor) -> Mapping[str, list[float]]:
        """Accuracy of the leading dimensions; the axes that they lie on are kept."""
        if self._recipe.task.FACTS.metric != "one_shot_accuracy":
            return {}
        unit_norm, images = self._recipe.objective.unit_norm, self._prepared.train_images
        some = some_rows(len(images)).to(images.device)
        known = (
            embed_features(self.encoder, self._features.train[some])
            if self._features
            else embed(self.encoder, images[some], unit_norm=False)
        )
        self._axes = principal_axes(normalize(known, dim=1) if unit_norm else known)
        return score_sizes(embeddings, self._axes, self._prepared.episodes, unit_norm=unit_norm)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        with whole_file(path) as file:
            torch.save(self.state_dict(), file)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, as tensors and plain values."""
        return {
            "recipe": self._recipe.digest,
            "compute": self._recipe.compute.model_dump(),
            "step": self._step,
            "seconds": self._seconds,
            "spreads": list(self._spreads),
            "encoder": self._encoder.state_dict(),
            "average": self._average.network.state_dict() if self._average else None,
            "objective": self._objective.state_dict(),
            "bank": self._bank.embeddings if self._bank else None,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict() if self._scaler else None,
            "axes": self._axes,
            "window": (self._window_steps, self._window_seconds),
            "sums": (self._loss_sum, self._active_sum),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave.

        Raises:
            ValueError: If it is the state of another recipe.
        """
        if state["recipe"] != self._recipe.digest:
            raise ValueError(
                f"the checkpoint must be of recipe {self._recipe.digest}, got {state['recipe']}: "
                "another recipe, precision or number of threads"
            )
        self._step = state["step"]
        self._seconds = state["seconds"]
        self._spreads = list(state["spreads"])
        if self._features:
            require_same_backbone(self._encoder, state["encoder"])
        self._encoder.load_state_dict(state["encoder"])
        if self._average:
            self._average.network.load_state_dict(state["average"])
        self._objective.load_state_dict(state["objective"])
        if self._bank:
            self._bank.embeddings = state["bank"]
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scaler:
            self._scaler.load_state_dict(state["scaler"])
        self._axes = state["axes"]
        self._window_steps, self._window_seconds = state["window"]
        self._loss_sum, self._active_sum = state["sums"]

    def _train_step(self) -> None:
        """One update; nothing in here waits for the device."""
        optimizer, budget = self._recipe.optimizer, self._recipe.budget
        self._task.set_progress(self._step / budget.steps)
        seed = np.random.SeedSequence((self._recipe.seed, self._step)).generate_state(1)
        self._generator.manual_seed(int(seed[0]))
        indices, quarter_turns, labels = self._batch()
        inputs = (
            self._features.train[indices]
            if self._features
            else self._task.augment(self._images_of(indices), quarter_turns, self._generator)
        )
        output = self._task.loss(self._network, inputs, labels, self._generator)
        self._optimizer.zero_grad(set_to_none=True)
        scaler = self._scaler
        (output.value if scaler is None else scaler.scale(output.value)).backward()
        if optimizer.gradient_clip is not None:
            if scaler is not None:
                scaler.unscale_(self._optimizer)
            for part in (self._encoder, self._objective):
                parameters = list(part.parameters())
                if parameters:
                    torch.nn.utils.clip_grad_norm_(parameters, optimizer.gradient_clip)
        set_learning_rate(self._optimizer, learning_rate_at(optimizer, self._step, budget.steps))
        if scaler is None:
            self._optimizer.step()
        else:
            scaler.step(self._optimizer)
            scaler.update()
        if self._average:
            self._average.update(self._encoder, self._step)
        self._loss_sum += output.value.detach()
        self._active_sum += output.active_share.detach()
        self._window_steps += 1
        self._step += 1

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Image indices, quarter turns and labels of the step's batch."""
        if self._reader is None:
            batch = self._sampler.draw(self._step)
        else:
            batch, self._images = self._reader.take(self._step)
        drawn = self._on_device(batch)
        if self._bank is None:
            return drawn
        if self._step % self._recipe.objective.miner.refresh == 0:
            self._bank.refresh(
                embed_features(self._encoder, self._features.train)
                if self._features
                else embed(self._encoder, self._prepared.train_images, unit_norm=False)
            )
            self._encoder.train()
        indices, _, _ = drawn
        # Every third image is an anchor, so that each class of the batch has some.
        anchors = indices[::3][: len(indices) // 3]  # (A,)
        uniform = torch.rand(len(anchors), 2, generator=self._generator, device=self._device)
        margin = cast(Objective, self._objective).setting.margin
        positives, negatives = self._bank.choose(anchors, uniform, margin)
        chosen = torch.cat([anchors, positives, negatives])  # (3A,)
        return chosen, torch.zeros_like(chosen), self._bank.labels[chosen]

    def _images_of(self, indices: Tensor) -> Tensor:
        """The training images at the indices, uint8 on the device."""
        if self._reader is not None:
            return self._images
        images = self._prepared.train_images
        if self._prepared.is_whole:
            return images[indices]
        return images.index_select(0, indices.to(images.device)).to(self._device)

    def _on_device(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Image indices, quarter turns and labels of a batch, moved in one copy."""
        stacked = torch.stack([batch.images, batch.quarter_turns, batch.labels])  # (3, B)
        if self._device.type == "cuda":
            stacked = stacked.pin_memory().to(self._device, non_blocking=True)
        indices, quarter_turns, labels = stacked
        return indices, quarter_turns, labels

    def _shape(self, recipe: Recipe) -> tuple[int, int, int, int]:
        """Shape of a batch of images; with a bank it is whole triplets."""
        size = recipe.batch.size
        _, channels, height, width = self._prepared.train_images.shape
        return (size // 3 * 3 if self._bank else size, channels, height, width)

    def _images_per_second(self) -> float:
        """Of training since the last report."""
        images = self._window_steps * self._recipe.batch.size
        return images / self._window_seconds if images else 0.0

    def _start_window(self) -> None:
        """Begin the running means of the next report."""
        self._loss_sum = torch.zeros((), device=self._device)
        self._active_sum = torch.zeros((), device=self._device)
        self._window_steps = 0
        self._window_seconds = 0.0
