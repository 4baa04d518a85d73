"""Ranks that say only what is sure: rows that cannot be told apart share one.

T rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for being many.

    The chance of *any* false finding stays below the level at which they are read. The k-th
    smallest of m is multiplied by m - k + 1, and none may be below a smaller one's.

    Args:
        p_values: Shape (m,).

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian
    Journal of Statistics 6.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return corrected


def shared_ranks(means: ArrayLike, p_values: ArrayLike) -> NDArray[np.int64]:
    """1 + the number of rows that are surely better than this row and all rows below it.

    A row is surely better if its mean is higher and the difference is significant at 5 % after
    Holm's correction over all pairs of rows. So with 95 % certainty *every* row has at least as
    many better ones as its rank says: ranks are lower bounds that hold together. Rank 1 has every
    row that may be the best; rows of one rank are not told apart; a row that is told apart from
    one above it has a later rank.

    "And all rows below it": a row whose score is noisier than that of the row below it is not
    ranked behind it.

    Args:
        means: Of the rows, shape (T,), in any order.
        p_values: Of no difference, for every pair, shape (T, T).

    Returns:
        Shape (T,). Higher means never have later ranks.

    Source: Mogstad, Romano, Shaikh, Wilhelm 2024, Inference for Ranks with Applications to
    Mobility across Neighbourhoods and Academic Achievement across Countries, Review of Economic
    Studies 91: the lower ends of their simultaneous confidence sets, with Holm's correction.
    """
    values, table = np.asarray(means, np.float64), np.asarray(p_values, np.float64)
    rows, columns = np.triu_indices(len(values), k=1)
    differs = np.zeros(table.shape, bool)
    differs[rows, columns] = holm(table[rows, columns]) < ALPHA
    differs |= differs.T
    is_better = values[:, None] > values[None, :]
    num_better = (differs & is_better).sum(axis=0)  # (T,) rows surely better than each
    # Rows of the same mean stand together, at the lowest of their counts.
    order = np.lexsort((-num_better, -values))
    from_below = np.minimum.accumulate(num_better[order][::-1])[::-1]
    ranks = np.empty(len(values), np.int64)
    ranks[order] = from_below + 1
    return ranks
