"""What a trained encoder makes of decoded images, for those who have no torch at hand.

I images, C channels, S image side, D embedding.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..spaces import EvaluationConfig
from .bundle import Embedder
from .data import ImageSet
from .embedding import embed
from .metrics import evaluate_embeddings


def embed_images(embedder: Embedder, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeddings of decoded images, as the one-shot score was measured.

    Args:
        embedder: A loaded export.
        images: Decoded as the export's `preprocessing` says, shape (I, C, S, S).

    Returns:
        Shape (I, D).
    """
    # A copy where they are mapped from a file: torch refuses what cannot be written.
    pixels = torch.from_numpy(np.array(images))
    unit_norm = embedder.recipe.objective.unit_norm
    embeddings: NDArray[np.float32] = (
        embed(embedder.encoder, pixels, unit_norm=unit_norm).cpu().numpy()
    )
    return embeddings


def inspect_embeddings(
    embeddings: NDArray[np.float32], data: ImageSet, evaluation: EvaluationConfig
) -> dict[str, Any]:
    """Every measure of an encoder on the episodes that scored it; see `evaluate_embeddings`.

    Args:
        embeddings: Of all images of the set, shape (I, D).
        data: The validation set.
        evaluation: The study's own protocol.
    """
    return evaluate_embeddings(torch.from_numpy(embeddings), data, evaluation)
