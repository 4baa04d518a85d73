"""Cross-batch memory: the embeddings of earlier batches as further references.

Letters: B batch, D embedding, Q places of the memory.
"""

import torch
from torch import Tensor, nn

from ..items import EMPTY, Items
from ..miners import Setting


class Memory(nn.Module):
    """A ring of the last Q embeddings with their labels, without gradients.

    Embeddings drift slowly once training has settled, so those of a few steps ago still tell what
    is near: an anchor meets thousands of negatives at the price of one matrix product. The batch
    and the memory are compared in one loss, where the paper adds two. It is part of a checkpoint.

    Source: Wang, Zhang, Huang, Scott 2020: Cross-Batch Memory for Embedding Learning,
    arXiv 1912.06798, algorithm 1.
    """

    embeddings: Tensor
    labels: Tensor
    next_place: Tensor

    def __init__(self, size: int, setting: Setting) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(size, setting.embedding_dim))
        self.register_buffer("labels", torch.full((size,), EMPTY))
        self.register_buffer("next_place", torch.zeros((), dtype=torch.int64))

    def join(self, items: Items) -> Items:
        """The items of a batch, compared with the memory too."""
        # Copies: the loss keeps them for its gradient while the batch is pushed.
        return items.with_memory(self.embeddings.clone(), self.labels.clone())

    @torch.no_grad()
    def push(self, embeddings: Tensor, labels: Tensor) -> None:
        """Write a batch over the oldest places.

        Args:
            embeddings: (B, D), raw, B <= Q.
            labels: (B,) int64.
        """
        size, num_items = len(self.labels), len(labels)
        places = (self.next_place + torch.arange(num_items, device=labels.device)) % size
        self.embeddings[places] = embeddings.detach().to(self.embeddings.dtype)
        self.labels[places] = labels
        self.next_place.copy_((self.next_place + num_items) % size)
