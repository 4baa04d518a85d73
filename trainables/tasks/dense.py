"""Agreement of two views of an image as a whole, at its pixels and over its regions (DenseSiam).

P images, B = 2 P views, C channels, S image side, F features, h and w sides of a map, N points,
D embedding, R regions.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, grid_sample

from ...spaces import Dense, Recipe
from ..augment.pipeline import augment_by, draw_maps
from ..encoders import Encoder
from ..episodes import score_episodes
from ..losses import LossOutput
from ..prepared import PreparedData
from .instances import InstanceSampler
from .segmentation import SegmentedShapes, linear_segmentation
from .task import Network, feature_shape

SMALLEST = 1e-6


class Agreement(nn.Module):
    """The parts of SimSiam at three levels: projectors and predictors of vectors and of maps."""

    def __init__(self, features: int, embedding_dim: int, hidden: int, regions: int) -> None:
        """Build them.

        Args:
            features: F of the encoder's map.
            embedding_dim: D.
            hidden: Width of the predictors, and of the projected map.
            regions: R.
        """
        super().__init__()
        self.image_predictor = _predictor(embedding_dim, hidden)
        self.pixel_projector = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, hidden)
        )
        self.pixel_predictor = _predictor(hidden, hidden)
        self.region_logits = nn.Linear(hidden, regions)
        self.region_predictor = _predictor(hidden, hidden)


def _predictor(size: int, hidden: int) -> nn.Sequential:
    """Two layers with a batch norm between, as SimSiam's."""
    return nn.Sequential(
        nn.Linear(size, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, size),
    )


class DenseTask:
    """P images x 2 views a batch; training sees no label. Judged by one-shot accuracy.

    Every report also trains a linear classifier of the map's positions on generated pictures with
    known masks, and scores it on others: mean intersection over union.

    Source: Zhang et al. 2022, "Dense Siamese Network for Dense Unsupervised Learning",
    arXiv 2203.11075: image, pixel and region level, with a predictor and a stop-gradient, without
    negatives. There views overlap by construction and are aligned on their common box; here points
    of the image that both views see are sampled from both maps. Regions there are the arguments of
    the maximum of a learned assignment; here that assignment is soft.
    """

    def __init__(self, recipe: Recipe, prepared: PreparedData, encoder: Encoder) -> None:
        """Build sampler and predictors.

        Args:
            recipe: The trial's.
            prepared: Its data, images.
            encoder: Whose map is compared.

        Raises:
            ValueError: If the data have too few images for a batch, or the encoder has no map.
        """
        assert isinstance(recipe.task, Dense), "the registry goes by its name"
        self._config = recipe.task
        self._augment = recipe.augment
        self._episodes = prepared.episodes
        self._num_images = recipe.batch.classes
        self.sampler = InstanceSampler(recipe.batch, len(prepared.train_images), recipe.seed)
        features, height, width = feature_shape(encoder, prepared.train_images)
        if height * width < 2:
            raise ValueError(
                "the encoder's map must have at least 2 positions with task dense, got "
                f"{height} x {width}: take larger images, or another encoder"
            )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            self.objective = Agreement(
                features, recipe.encoder.embedding_dim, self._config.hidden, self._config.regions
            )
        self._maps = torch.empty(0)
        channels, side = prepared.train_images.shape[1:3]
        self._shapes = SegmentedShapes.drawn(channels, side, (height, width), seed=recipe.seed)

    def augment(self, items: Tensor, quarter_turns: Tensor, generator: torch.Generator) -> Tensor:
        """Two views of each image; where their pixels come from is kept for the loss."""
        self._maps = draw_maps(self._augment, quarter_turns, generator)  # (B, 2, 3)
        return augment_by(items, self._augment, self._maps, generator)

    def loss(
        self, network: Network, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> LossOutput:
        """The weighted sum of the three levels; each is 1 - cosine, in [0, 2]."""
        config, parts = self._config, self.objective
        maps, embeddings = network.maps_and_embeddings(inputs)
        maps, embeddings = maps.float(), embeddings.float()
        image = agreement(parts.image_predictor, embeddings[0::2], embeddings[1::2])
        points = torch.rand(
            (self._num_images, config.points, 2), generator=generator, device=maps.device
        )
        places, is_seen = places_in_views(points * 2.0 - 1.0, self._maps)  # (B, N, 2), (P, N)
        sampled = grid_sample(maps, places[:, :, None], align_corners=False)[
            ..., 0
        ].mT  # (B, N, F)
        pixels = parts.pixel_projector(sampled)  # (B, N, H)
        first, second = pixels[0::2], pixels[1::2]
        pixel = agreement(
            parts.pixel_predictor, first.flatten(0, 1), second.flatten(0, 1), is_seen.flatten()
        )
        regions, weights = self._regions(pixels, is_seen)  # (B, R, H), (P, R)
        region = agreement(
            parts.region_predictor,
            regions[0::2].flatten(0, 1),
            regions[1::2].flatten(0, 1),
            weights.flatten(),
        )
        value = (
            config.image_weight * image
            + config.pixel_weight * pixel
            + config.region_weight * region
        )
        return LossOutput(value, is_seen.float().mean(), is_seen.sum())

    def set_progress(self, share: float) -> None:
        """Nothing is scheduled."""

    def collapse_value(self, point: Tensor) -> float:
        """All views agree: 0."""
        return 0.0

    def units(self, encoder: Encoder, embeddings: Tensor) -> np.ndarray:
        """One-shot accuracy of each frozen episode, by the pooled features' embedding."""
        return score_episodes(embeddings, self._episodes)

    def scores(self, encoder: Encoder, embeddings: Tensor) -> Mapping[str, float]:
        """Mean intersection over union of a linear segmentation."""
        return {"segmentation_iou": linear_segmentation(encoder, self._shapes)}

    def _regions(self, pixels: Tensor, is_seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean pixel of each region in each view, and how much of the image the region is.

        Both views use the assignment of the first, without a gradient: points correspond.
        """
        logits = self.objective.region_logits(pixels[0::2])  # (P, N, R)
        share = logits.softmax(2) * is_seen[:, :, None]
        weights = share.sum(1)  # (P, R)
        mean = share / weights[:, None].clamp_min(SMALLEST)
        doubled = mean.repeat_interleave(2, dim=0)  # (B, N, R)
        return doubled.mT @ pixels, weights.detach()


def agreement(
    predictor: nn.Module, first: Tensor, second: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean of 1 - s(h(x), sg(y)) over both directions; sg stops the gradient.

    Source: Chen, He 2021, "Exploring Simple Siamese Representation Learning", arXiv 2011.10566,
    equation 2.

    Args:
        predictor: h.
        first: x, (N, D).
        second: y, (N, D).
        weights: Of each row, >= 0, (N,); equal by default.
    """
    one = 1.0 - cosine_similarity(predictor(first), second.detach(), dim=1)
    other = 1.0 - cosine_similarity(predictor(second), first.detach(), dim=1)
    both = 0.5 * (one + other)
    if weights is None:
        return both.mean()
    return (both * weights).sum() / weights.sum().clamp_min(SMALLEST)


def places_in_views(points: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Where both views of an image show its points, and whether both do.

    Args:
        points: Of the images, in [-1, 1], (P, N, 2): x, y.
        maps: From a view's coordinates to the image's, (B, 2, 3), views beside one another.

    Returns:
        Places in each view, (B, N, 2), and whether they are inside both, (P, N) bool.
    """
    doubled = points.repeat_interleave(2, dim=0)  # (B, N, 2)
    linear, shift = maps[:, :, :2], maps[:, :, 2]
    places = torch.linalg.solve(linear, (doubled - shift[:, None]).mT).mT  # (B, N, 2)
    is_inside = (places.abs() <= 1.0).all(2)  # (B, N)
    return places, is_inside[0::2] & is_inside[1::2]
