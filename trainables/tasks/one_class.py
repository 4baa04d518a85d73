"""Anomalies in series, learned from normal ones alone (COCA).

B batch, C channels, L length, F features, T time steps, H hidden size, D embedding, I items.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, normalize

from ...spaces import OneClass, Recipe
from ..augment import augment
from ..embedding import to_float
from ..encoders import Encoder
from ..losses import LossOutput
from ..losses.variance import variance_hinge
from ..prepared import PreparedData
from ..sampler import Batch
from .task import Network, feature_shape

ROWS_AT_ONCE = 256
BATCH_TOO_SMALL = 2


class NormalSampler:
    """Draws items of the normal class; those of the others are never looked at.

    Attributes:
        num_classes: That labels name: one.
    """

    def __init__(self, normal: np.ndarray, size: int, seed: int) -> None:
        """Keep the numbers of the normal items.

        Args:
            normal: Their numbers in the training set, (I,).
            size: B.
            seed: Of the trial.
        """
        self.num_classes = 1
        self._normal = normal
        self._size = size
        self._seed = seed

    def draw(self, step: int) -> Batch:
        """The batch of a step: all different where there are enough."""
        random = np.random.default_rng((self._seed, step))
        chosen = random.choice(self._normal, self._size, replace=self._size > len(self._normal))
        images = torch.from_numpy(chosen.astype(np.int64))
        zeros = torch.zeros_like(images)
        return Batch(images=images, quarter_turns=zeros, labels=zeros)


class Reconstruction(nn.Module):
    """Reads a sequence of features into one state, and writes it anew from that state alone."""

    def __init__(self, features: int, hidden: int) -> None:
        """Build the two recurrent networks.

        Args:
            features: F.
            hidden: H.
        """
        super().__init__()
        self.reader = nn.GRU(features, hidden, batch_first=True)
        self.writer = nn.GRU(hidden, hidden, batch_first=True)
        self.output = nn.Linear(hidden, features)

    def forward(self, steps: Tensor) -> Tensor:
        """(B, T, F) to (B, T, F)."""
        _, state = self.reader(steps)  # (1, B, H)
        repeated = state[0][:, None].expand(-1, steps.shape[1], -1)
        written, _ = self.writer(repeated)
        rewritten: Tensor = self.output(written)
        return rewritten


class OneClassTask:
    """Embeddings q of normal series and q' of their reconstructions lie around one centre.

    The centre C is the direction of the mean of both, over the batch in training (detached), over
    all normal training items at a report. With s the cosine, a series scores

        d = 2 - s(q, C) - s(q', C)

    and the loss is mean(d) + w (v(q) + v(q')), v the variance hinge that keeps embeddings from
    becoming one point. Anomalies score high; the threshold is a quantile of the training scores.

    Source: Wang et al. 2022, "Deep Contrastive One-Class Time Series Anomaly Detection",
    arXiv 2207.01472, section 4: the invariance and variance terms. There the reconstruction is by
    an LSTM and the centre is moved once an epoch.
    """

    def __init__(self, recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> None:
        """Find the normal items, and build the reconstruction.

        Args:
            recipe: The trial's.
            prepared: Its data, series split by item.
            encoder: Whose map of features is reconstructed.

        Raises:
            ValueError: If there is no class of that name.
        """
        assert isinstance(recipe.task, OneClass), "the registry goes by its name"
        self._config = config = recipe.task
        data = prepared.data
        if config.normal not in data.train.classes:
            raise ValueError(
                f"task.normal must be one of the classes {', '.join(data.train.classes)}, got "
                f"{config.normal!r}"
            )
        label = data.train.classes.index(config.normal)
        normal = np.flatnonzero(data.train.labels == label)
        self.sampler = NormalSampler(normal, recipe.batch.size, recipe.seed)
        self._train = prepared.train_images[torch.from_numpy(normal)]
        self._validation = prepared.validation_images
        self._is_anomaly = data.validation.labels != label
        self._augment = recipe.augment
        features, _, _ = feature_shape(encoder, prepared.train_images)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            self.objective = Reconstruction(features, config.hidden)
        self._scores = np.empty(0)
        self._threshold = 0.0

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """Series under the recipe's changes; they stay normal, so weak ones suit."""
        return augment(items, self._augment, quarter_turns, generator)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """Invariance and variance."""
        maps, first = network.maps_and_embeddings(inputs)
        first, second = first.float(), self._rewritten(network.encoder, maps)
        centre = centre_of(first, second).detach()
        value = distances_to(centre, first, second).mean()
        spread = sum(
            variance_hinge(part, self._config.variance_target, unit_norm=True)
            for part in (first, second)
        )
        value = value + self._config.variance_weight * spread
        count = torch.tensor(len(first), device=value.device)
        return LossOutput(value, torch.ones((), device=value.device), count)

    def set_progress(self, share: float) -> None:
        """Nothing is scheduled."""

    def collapse_value(self, point: Tensor) -> float:
        """All distances are 0, and the hinge is at its target but for the root's small term."""
        same = point.expand(BATCH_TOO_SMALL, -1)
        hinge = variance_hinge(same, self._config.variance_target, unit_norm=True)
        return 2.0 * self._config.variance_weight * float(hinge)

    @torch.no_grad()
    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """For each anomaly, the share of normal items that score lower, (E,): their mean is AUROC.

        Ties count half.
        """
        train = self._embedded(encoder, self._train)
        centre = centre_of(*train)
        known = distances_to(centre, *train).cpu().numpy()
        self._scores = (
            distances_to(centre, *self._embedded(encoder, self._validation)).cpu().numpy()
        )
        self._threshold = float(np.quantile(known, 1.0 - self._config.false_alarms))
        return placements(self._scores[self._is_anomaly], self._scores[~self._is_anomaly])

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """What the threshold does, which training items alone have set."""
        is_alarm = self._scores > self._threshold
        found = float(is_alarm[self._is_anomaly].mean())
        false = float(is_alarm[~self._is_anomaly].mean())
        return {
            "threshold": self._threshold,
            "anomalies_found": found,
            "false_alarms": false,
            "balanced_accuracy": 0.5 * (found + 1.0 - false),
        }

    def _embedded(self, encoder: Encoder, items: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of items and of their reconstructions, each (I, D)."""
        encoder.eval()
        first, second = [], []
        for part in items.split(ROWS_AT_ONCE):
            maps = encoder.feature_map(to_float(part.to(encoder.mean.device)))
            first.append(encoder.embed_map(maps))
            second.append(self._rewritten(encoder, maps))
        return torch.cat(first), torch.cat(second)

    def _rewritten(self, encoder: Encoder, maps: Tensor) -> Tensor:
        """Embeddings (B, D) of the reconstructed maps."""
        steps = adaptive_avg_pool1d(maps.float().flatten(2), self._config.timesteps).mT
        return encoder.embed_map(self.objective(steps).mT[:, :, None]).float()


def centre_of(first: Tensor, second: Tensor) -> Tensor:
    """Direction of the mean of unit embeddings and of those of their reconstructions, (D,)."""
    both = torch.cat([normalize(first, dim=1), normalize(second, dim=1)])
    return normalize(both.mean(0), dim=0)


def distances_to(centre: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """D = 2 - s(q, C) - s(q', C), (B,) in [0, 4]."""
    return 2.0 - normalize(first, dim=1) @ centre - normalize(second, dim=1) @ centre


def placements(anomalies: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """For each anomaly, the share of normal items that score lower; ties count half."""
    order = np.sort(normal)
    lower = np.searchsorted(order, anomalies, side="left")
    level = np.searchsorted(order, anomalies, side="right") - lower
    placed: np.ndarray = (lower + 0.5 * level) / len(normal)
    return placed
