"""Everything that is measured of a finished encoder, as plain data.

I images, D embedding.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...spaces import EvaluationConfig
from ..data import ImageSet, TrialData
from ..embedder import Embedder
from ..embedding import embed
from ..episodes import Stream, draw_episodes
from ..prepared import PreparedData
from .confusion import confusion
from .interval import clustered_mean
from .open_world import Gallery, open_world
from .protocols import score_protocols
from .retrieval import retrieval_scores

RECALLS = (1, 2, 4, 8)


def evaluate_encoder(
    encoder: nn.Module,
    prepared: PreparedData,
    evaluation: EvaluationConfig,
    *,
    unit_norm: bool,
    stream: Stream = "search",
) -> dict[str, Any]:
    """Every measure of an encoder on the validation classes; see `evaluate_embeddings`.

    Args:
        encoder: Left in evaluation mode.
        prepared: Its data.
        evaluation: The study's own protocol.
        unit_norm: Whether the encoder is used with embeddings of norm 1.
        stream: `search` repeats the list that ranked the trials, `confirm` is a fresh one.
    """
    return evaluate_embeddings(
        embed(encoder, prepared.validation_images, unit_norm=unit_norm),
        prepared.data.validation,
        evaluation,
        gallery=Gallery(
            embed(encoder, prepared.train_images, unit_norm=unit_norm),
            prepared.data.train.labels,
        ),
        stream=stream,
    )


def evaluate_model(
    model: Embedder, data: TrialData, *, stream: Stream = "search"
) -> dict[str, Any]:
    """Every measure of an exported model on the validation classes of its data.

    Args:
        model: From `tripletune.load`.
        data: What it was trained and selected on.
        stream: `search` repeats the list that selected it, `confirm` is a fresh one.

    Raises:
        ValueError: If the data are not those of the model.
    """
    for key, value in (
        ("data_fingerprint", data.fingerprint),
        ("split_hash", data.split_digest),
    ):
        if model.scores[key] != value:
            raise ValueError(
                f"data must be those of the model, whose {key} is {model.scores[key]}, got "
                f"{value}; name them with --data"
            )
    embed_images = model.network.embed
    return evaluate_embeddings(
        torch.from_numpy(embed_images(data.validation.images)),
        data.validation,
        model.recipe.evaluation,
        gallery=Gallery(torch.from_numpy(embed_images(data.train.images)), data.train.labels),
        stream=stream,
    )


@torch.inference_mode()
def evaluate_embeddings(
    embeddings: Tensor,
    data: ImageSet,
    evaluation: EvaluationConfig,
    *,
    gallery: Gallery | None = None,
    threshold: float | None = None,
    stream: Stream = "search",
) -> dict[str, Any]:
    """Every measure of an encoder on one set of classes that it did not train on.

    Args:
        embeddings: Of all images of the set, as the encoder is used, shape (I, D).
        data: The set: validation or test.
        evaluation: The study's own protocol.
        gallery: Training images, for the open world; None leaves only what is enrolled.
        threshold: For "unknown", set on validation; None sets it here on half of the classes.
        stream: What the episodes are for.

    Returns:
        Plain data that JSON can hold: `protocols`, `retrieval`, `open_world`, `per_class`,
        `worst_pairs`.

    Raises:
        ValueError: If the set cannot hold the study's own episodes.
    """
    episodes = draw_episodes(data, evaluation, stream=stream)
    found = confusion(embeddings, data.labels, episodes)
    return {
        "protocols": score_protocols(embeddings, data, evaluation, stream),
        "retrieval": _retrieval(embeddings, data.labels),
        "open_world": {
            f"{shot}-shot": open_world(
                embeddings,
                data.labels,
                gallery,
                shot=shot,
                seed=evaluation.seed,
                threshold=threshold if shot == evaluation.shot else None,
            )
            for shot in dict.fromkeys((evaluation.shot, 3))
        },
        "per_class": {
            data.classes[score.label]: {"accuracy": score.accuracy, "queries": score.num_queries}
            for score in found.classes
        },
        "worst_pairs": [
            {
                "classes": [data.classes[label] for label in pair.labels],
                "confused": pair.rate,
                "queries": pair.num_queries,
            }
            for pair in found.worst_pairs
        ],
    }


def _retrieval(embeddings: Tensor, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Means over queries, with intervals over classes."""
    scores = retrieval_scores(embeddings, labels, RECALLS)
    if len(scores.query) == 0:
        return {"num_queries": 0}
    classes = labels[scores.query]
    return {
        "num_queries": len(scores.query),
        **{
            f"recall_at_{k}": clustered_mean(values, classes)
            for k, values in scores.recall.items()
        },
        "r_precision": clustered_mean(scores.r_precision, classes),
        "map_at_r": clustered_mean(scores.map_at_r, classes),
    }
