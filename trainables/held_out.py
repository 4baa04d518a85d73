"""The test side of a split: opened here and nowhere else, for a finished model.

`load_trial_data` leaves the test images behind, so no trial can see them; `tripletune test` asks
here, and writes down that it did.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..spaces import DataConfig, EvaluationConfig
from .data import DataError, ImageSet, Progress, split_classes, unseen
from .data.item_split import ItemSplit, split_items
from .data.loading import decode
from .embedder import Embedder
from .episodes import draw_episodes, score_episodes
from .evaluation import mean_with_interval


@dataclass(frozen=True)
class HeldOutScore:
    """The score of a model on classes that neither it nor its search has seen.

    Attributes:
        one_shot_accuracy: Mean over episodes, in [0, 1].
        low: Lower end of its 95 % interval over episodes.
        high: Upper end.
        episodes: Hash of the episodes.
        num_classes: Of the test side.
        num_images: Of the test side.
    """

    one_shot_accuracy: float
    low: float
    high: float
    episodes: str
    num_classes: int
    num_images: int


def open_test_side(
    config: DataConfig,
    scores: dict[str, Any],
    cache_dir: Path | None = None,
    progress: Progress = unseen,
) -> ImageSet:
    """The images of the test classes, if the data and the split are those of the model.

    Args:
        config: Of the model's recipe; its path may be another one now.
        scores: `data_fingerprint` and `split_hash` of the model's export.
        cache_dir: Where decoded sets are kept; the user's cache folder by default.
        progress: Told how far the decoding is, where there is any.

    Raises:
        DataError: The split has no test side, or the data or the split have changed, so that its
            test classes may be some that the model was trained on.
    """
    cached = decode(config, cache_dir, progress)
    whole = cached.decoded.image_set
    is_by_item = config.split.by == "item"
    split = (split_items if is_by_item else split_classes)(whole, config.split)
    if len(split.test) == 0:
        raise DataError(
            "data.split.test must be > 0 for a test, got 0: the search divided the classes into "
            "training and validation only. Search again with a test side, or test on other "
            "classes: --runs FOLDER"
        )
    for name, now in (("data_fingerprint", cached.fingerprint), ("split_hash", split.digest)):
        if scores.get(name) != now:
            raise DataError(
                f"the data must be those of the model, whose {name} is {scores.get(name)}, got "
                f"{now}: with other data or another split, test classes may have been trained "
                "on. Name the data it was searched on with --data"
            )
    return whole.items(split.test) if isinstance(split, ItemSplit) else whole.subset(split.test)


def score_held_out(
    embedder: Embedder, images: ImageSet, evaluation: EvaluationConfig
) -> HeldOutScore:
    """One-shot accuracy on the test side, on episodes that no search or confirmation drew.

    Args:
        embedder: The model.
        images: From `open_test_side`.
        evaluation: Of the episodes.

    Raises:
        DataError: If the test side cannot hold the episodes.
    """
    try:
        episodes = draw_episodes(images, evaluation, stream="test")
    except ValueError as error:
        raise DataError(f"the test side cannot hold the episodes: {error}") from error
    embeddings = torch.from_numpy(embedder.embed_pixels(images.images))
    score = mean_with_interval(score_episodes(embeddings, episodes))
    return HeldOutScore(
        one_shot_accuracy=score.one_shot_accuracy,
        low=score.low,
        high=score.high,
        episodes=episodes.digest,
        num_classes=images.num_classes,
        num_images=len(images.labels),
    )
