"""The prototypical loss: a batch as one few-shot episode.

Letters: B items, D embedding.
"""

import torch
from torch import Tensor, nn

from ...spaces import Prototypical as PrototypicalConfig
from ..distances import at_least_float32, squared_euclidean_distances
from ..items import Items
from ..miners import Setting
from .log_sum_exp import log_sum_exp
from .output import LossOutput, mean_over


class Prototypical(nn.Module):
    """Prototypical loss of an episode.

    L = mean over queries q of -log( exp(-|e_q - c_y|^2) / sum_c exp(-|e_q - c_c|^2) )

    `shots` items of each class of the batch, drawn at random, are its support, their mean is its
    prototype c, and the other items are queries. A class without a query still competes; with one
    class alone the loss is exactly 0.

    Source: Snell, Swersky, Zemel 2017: Prototypical Networks for Few-shot Learning,
    arXiv 1703.05175, equation 2 and algorithm 1.
    """

    def __init__(self, config: PrototypicalConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config

    def forward(self, items: Items) -> LossOutput:
        """The loss of a batch."""
        rank = _random_ranks(items)
        is_support = rank < self.config.shots  # (B,)
        is_same = items.is_same_class()  # (B, B)
        embeddings = at_least_float32(items.anchors)
        # Column j of the distances is the prototype of item j's class; one column a class counts.
        support = (is_same & is_support).to(embeddings.dtype)
        with torch.autocast(embeddings.device.type, enabled=False):
            prototypes = (support / support.sum(1, True)) @ embeddings  # (B, D)
        logits = -squared_euclidean_distances(embeddings, prototypes)  # (B, B)
        is_class = rank == 0  # (B,) one item of each class
        log_total = log_sum_exp(logits, is_class[None, :])
        own = logits.masked_fill(~(is_same & is_class), 0.0).sum(1)
        terms = (log_total - own).clamp_min(0.0)  # rounding must not make it negative
        is_query = ~is_support
        return mean_over(is_query, terms)


def _random_ranks(items: Items) -> Tensor:
    """The rank of each item within its class of the batch, from 0, in a random order, (B,)."""
    keys = items.uniform[:, -1]
    is_same = items.is_same_class()
    is_before = (keys[None, :] < keys[:, None]) | (
        (keys[None, :] == keys[:, None])
        & torch.ones_like(is_same).tril(-1)  # of equal keys the first of the batch comes first
    )
    return (is_same & is_before).sum(1)
