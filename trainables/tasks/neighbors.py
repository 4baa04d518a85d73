"""Accuracy of the nearest neighbours, each item left out in turn.

I items, D embedding, k neighbours, C classes.
"""

import torch
from torch import Tensor

ROWS_AT_ONCE = 1024


@torch.no_grad()
def leave_one_out_accuracy(embeddings: Tensor, labels: Tensor, *, neighbors: int) -> float:
    """Share of the items whose class has most of their k nearest other items.

    Classes that tie share the credit: a k-way tie that holds the right class counts 1/k, so that
    a constant encoder has no luck with the order of the items.

    Args:
        embeddings: (I, D), I > k.
        labels: (I,) int64.
        neighbors: k >= 1; fewer are taken where the set holds fewer.

    Returns:
        In [0, 1].
    """
    labels = labels.to(embeddings.device)
    num_items, num_classes = len(labels), int(labels.max()) + 1
    k = min(neighbors, num_items - 1)
    own = torch.arange(num_items, device=labels.device)
    credit = embeddings.new_zeros(())
    for rows in own.split(ROWS_AT_ONCE):
        distances = torch.cdist(embeddings[rows], embeddings)  # (R, I)
        distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf
        nearest = distances.topk(k, largest=False)
        farthest = nearest.values[:, -1:]  # (R, 1)
        # Items as near as the k-th share what is left of the k votes.
        is_nearer, is_level = distances < farthest, distances == farthest
        left = k - is_nearer.sum(1, keepdim=True)
        weights = is_nearer.float() + is_level.float() * left / is_level.sum(1, keepdim=True)
        votes = embeddings.new_zeros((len(rows), num_classes))
        votes.index_add_(1, labels, weights)  # (R, C)
        best = votes.amax(1, keepdim=True)
        is_best = votes >= best - 1e-4
        right = is_best.gather(1, labels[rows][:, None])[:, 0]
        credit += (right / is_best.sum(1)).sum()
    return float(credit) / num_items
