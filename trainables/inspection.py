"""What a trained encoder makes of decoded images, for those who have no torch at hand.

I images, C channels, S image side, D embedding.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..spaces import EvaluationConfig
from .data import ImageSet
from .metrics import evaluate_embeddings
from .network import Network


def embed_images(network: Network, images: NDArray[Any]) -> NDArray[np.float32]:
    """Embeddings of decoded images, as the one-shot score was measured.

    Args:
        network: Of a loaded export, or of a trial.
        images: Decoded as its preprocessing says, shape (I, C, S, S).

    Returns:
        Shape (I, D).
    """
    # A copy where they are mapped from a file: torch refuses what cannot be written.
    return network.embed(np.array(images))


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
