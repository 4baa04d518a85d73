"""Scores that every leaderboard is read against, on the episodes of its trials.

I images, F features.
"""

import time
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from ..spaces import AnyEncoder, Recipe, from_scratch
from .embedding import embed
from .encoders import Encoder, build_encoder
from .episodes import score_episodes
from .evaluation import mean_with_interval
from .features import compute_features
from .prepared import PreparedData
from .tasks.classifier import build_classifier
from .trial import Trial

CLASSIFIER = {"loss": {"name": "normalized_softmax"}}
"""An objective of unit embeddings without a miner; the classifier's own loss takes its place."""


def encoder_baselines(recipe: Recipe, prepared: PreparedData) -> dict[str, dict[str, Any]]:
    """What an encoder is worth without metric learning.

    - `untrained`: the encoder with random weights.
    - `features`: only with pretrained weights: their features alone, before any head.
    - `cross_entropy`: the encoder trained as a classifier of the training classes, with batches,
      augmentation, optimiser and steps of the recipe, and its embeddings compared by cosine. A
      metric loss that does not beat it is not a finding (Musgrave et al. 2020, arXiv 2003.08505).

    Args:
        recipe: Of a trial; its loss and miner are not used.
        prepared: Its data.

    Returns:
        By name: `one_shot_accuracy`, `interval`, `seconds`, and `steps` where there was training.

    Raises:
        ValueError: If the recipe does not fit the data.
        FloatingPointError: If the classifier diverges.
    """
    plain = Recipe.model_validate(
        {**recipe.to_dict(), "objective": CLASSIFIER, "task": {"name": "supervised"}}
    )
    scores = {"untrained": _untrained(plain, prepared)}
    if getattr(plain.encoder, "weights", "none") != "none":
        scores["features"] = _features(plain, prepared)
    scores["cross_entropy"] = _cross_entropy(plain, prepared)
    return scores


def _score(embeddings: Tensor, prepared: PreparedData, start: float) -> dict[str, Any]:
    score = mean_with_interval(score_episodes(embeddings, prepared.episodes))
    return {
        "one_shot_accuracy": score.one_shot_accuracy,
        "interval": [score.low, score.high],
        "seconds": time.perf_counter() - start,
    }


def _encoder(config: AnyEncoder, prepared: PreparedData, seed: int) -> Encoder:
    return build_encoder(
        config,
        channels=prepared.data.train.channels,
        image_size=prepared.data.train.image_size,
        mean=prepared.mean,
        std=prepared.std,
        seed=seed,
    ).to(prepared.device)


def _untrained(recipe: Recipe, prepared: PreparedData) -> dict[str, Any]:
    start = time.perf_counter()
    encoder = _encoder(from_scratch(recipe.encoder), prepared, recipe.seed)
    embeddings = embed(encoder, prepared.validation_images, unit_norm=True)
    return _score(embeddings, prepared, start)


def _features(recipe: Recipe, prepared: PreparedData) -> dict[str, Any]:
    start = time.perf_counter()
    encoder = _encoder(recipe.encoder, prepared, recipe.seed)
    features = compute_features(encoder, prepared.validation_images)
    if features.ndim == 4:  # before a pooling that learns
        features = features.mean((2, 3))
    return _score(normalize(features, dim=1), prepared, start)


def _cross_entropy(recipe: Recipe, prepared: PreparedData) -> dict[str, Any]:
    trial = Trial(recipe, prepared, build_task=build_classifier)
    trial.train(recipe.budget.steps)
    report = trial.evaluate()
    return {
        "one_shot_accuracy": report.one_shot_accuracy,
        "interval": [report.interval_low, report.interval_high],
        "seconds": report.seconds,
        "steps": report.step,
    }
