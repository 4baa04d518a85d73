"""Two views of each series, near each other and each foretelling the other (TS-TCC).

P series, B = 2 P views, C channels, L length, F features, T time steps, H hidden size, K horizon.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, cross_entropy

from ...spaces import CrossView, Recipe
from ..augment.series import augment_series
from ..encoders import Encoder
from ..losses import LossOutput
from ..prepared import PreparedData
from .by_objective import ByObjective
from .instances import InstanceSampler
from .task import Network, feature_shape


class CrossViewPrediction(nn.Module):
    """Foretells the features of one view from the context of the other.

    A recurrent network reads the features of view s up to time t; its state c_t^s, mapped by a
    matrix W_k, is compared with the features z_{t+k} of the other view of the same series, among
    those of all series of the batch, for k = 1..K and both directions:

        L = -1/K sum_k log( exp(W_k c_t^s . z_{t+k}^{s'}) / sum_n exp(W_k c_t^s . z_{n,t+k}^{s'}) )

    Source: Eldele et al. 2021, "Time-Series Representation Learning via Temporal and Contextual
    Contrasting", arXiv 2106.14112, equations 1 and 2. There a transformer reads the features; here
    a GRU, which is causal by itself and cheap on a processor.
    """

    def __init__(self, features: int, hidden: int, horizon: int) -> None:
        """Build the reader and one matrix for each step ahead.

        Args:
            features: F.
            hidden: H.
            horizon: K.
        """
        super().__init__()
        self.horizon = horizon
        self.reader = nn.GRU(features, hidden, batch_first=True)
        self.predictors = nn.ModuleList(nn.Linear(hidden, features) for _ in range(horizon))

    def forward(self, first: Tensor, second: Tensor, time: Tensor) -> Tensor:
        """The mean of both directions, ().

        Args:
            first: Features of a view of each series, (P, T, F).
            second: Of the other view.
            time: Where the context ends, () int64 in [0, T - K).
        """
        return 0.5 * (self._one_way(first, second, time) + self._one_way(second, first, time))

    def _one_way(self, seen: Tensor, foretold: Tensor, time: Tensor) -> Tensor:
        states, _ = self.reader(seen)  # (P, T, H)
        context = states.index_select(1, time.reshape(1))[:, 0]  # (P, H)
        own = torch.arange(len(seen), device=seen.device)
        losses = []
        for ahead, predictor in enumerate(self.predictors, start=1):
            target = foretold.index_select(1, time.reshape(1) + ahead)[:, 0]  # (P, F)
            losses.append(cross_entropy(predictor(context) @ target.T, own))
        return torch.stack(losses).mean()


class CrossViewTask:
    """P series x 2 views a batch: a weak one and a strong one; training sees no label."""

    def __init__(self, recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> None:
        """Build sampler, objective and prediction.

        Args:
            recipe: The trial's.
            prepared: Its data, series.
            encoder: Whose map of features is foretold.

        Raises:
            ValueError: If the data have too few series for a batch.
        """
        assert isinstance(recipe.task, CrossView), "the registry goes by its name"
        self._config = recipe.task
        self._weak = recipe.augment.series
        self._num_series = recipe.batch.classes
        self.sampler = InstanceSampler(recipe.batch, len(prepared.train_images), recipe.seed)
        self._pairs = ByObjective(recipe, prepared, self.sampler, self.augment)
        features, _, _ = feature_shape(encoder, prepared.train_images)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            prediction = CrossViewPrediction(features, self._config.hidden, self._config.horizon)
        self.objective = nn.ModuleDict({"pairs": self._pairs.objective, "prediction": prediction})
        self._prediction = prediction

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """Views of the series: the first of each pair weak, the second strong."""
        weak = augment_series(items[0::2], self._weak, generator)
        strong = augment_series(items[1::2], self._config.strong, generator)
        return torch.stack([weak, strong], 1).flatten(0, 1)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """Temporal loss + contextual loss: the recipe's own objective on the embeddings."""
        config = self._config
        maps, embeddings = network.maps_and_embeddings(inputs)
        steps = adaptive_avg_pool1d(maps.float().flatten(2), config.timesteps).mT  # (B, T, F)
        time = torch.randint(
            config.timesteps - config.horizon, (), generator=generator, device=steps.device
        )
        foretold = self._prediction(steps[0::2], steps[1::2], time)
        pairs: LossOutput = self._pairs.objective(embeddings, labels, generator)
        value = config.temporal_weight * foretold + config.contextual_weight * pairs.value
        return LossOutput(value, pairs.active_share, pairs.num_active)

    def set_progress(self, share: float) -> None:
        """Move miner and margin along their schedule."""
        self._pairs.set_progress(share)

    def collapse_value(self, point: Tensor) -> float:
        """Of the contextual part; features that are one point foretell nothing: log P."""
        foretold = float(np.log(self._num_series))
        return (
            self._config.contextual_weight * self._pairs.collapse_value(point)
            + self._config.temporal_weight * foretold
        )

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """One-shot accuracy of each frozen episode."""
        return self._pairs.units(encoder, embeddings)

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """None besides."""
        return {}
