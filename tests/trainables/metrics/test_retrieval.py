"""Retrieval against loops, ties against every order of them."""

from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tripletune.trainables.metrics import retrieval, retrieval_scores

Scores = tuple[dict[int, float], float, float]


def plain_scores(order: list[int], labels: NDArray[np.int64], query: int, ks: list[int]) -> Scores:
    """Recalls, R-precision and MAP@R of one ranking."""
    relevant = [bool(labels[index] == labels[query]) for index in order]
    num_same = sum(relevant)
    precisions = [
        sum(relevant[: place + 1]) / (place + 1) if relevant[place] else 0.0
        for place in range(num_same)
    ]
    return (
        {k: float(any(relevant[:k])) for k in ks},
        sum(relevant[:num_same]) / num_same,
        sum(precisions) / num_same,
    )


def test_the_scores_equal_a_plain_loop_and_single_images_do_not_ask() -> None:
    labels = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 7])
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 6, generator=random)[torch.from_numpy(labels)]
    embeddings = embeddings + torch.randn(len(labels), 6, generator=random)
    scores = retrieval_scores(embeddings, labels, ks=(1, 3, 200))
    assert scores.query.tolist() == list(range(1, 28))
    for row, query in enumerate(scores.query):
        distances = (embeddings.double() - embeddings[query].double()).norm(dim=1)
        order = [int(i) for i in distances.argsort() if i != query]
        recall, r_precision, map_at_r = plain_scores(order, labels, int(query), [1, 3, 200])
        assert {k: scores.recall[k][row] for k in recall} == recall
        assert scores.r_precision[row] == pytest.approx(r_precision, abs=1e-12)
        assert scores.map_at_r[row] == pytest.approx(map_at_r, abs=1e-12)
    assert 0.1 < scores.recall[1].mean() < 0.9


@pytest.mark.parametrize("places", [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 2, 2], [1, 0, 0, 2, 2, 2]])
def test_ties_count_as_the_mean_over_every_order_of_them(places: list[int]) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    embeddings = torch.tensor(places).float()[:, None]
    scores = retrieval_scores(embeddings, labels, ks=(1, 2, 4))
    for row, query in enumerate(scores.query):
        orders = [
            list(order)
            for order in permutations([i for i in range(6) if i != query])
            if all(
                abs(places[one] - places[query]) <= abs(places[other] - places[query])
                for one, other in pairwise(order)
            )
        ]
        naive = [plain_scores(order, labels, int(query), [1, 2, 4]) for order in orders]
        for k in (1, 2, 4):
            expected = np.mean([one[0][k] for one in naive])
            assert scores.recall[k][row] == pytest.approx(expected, abs=1e-12)
        assert scores.r_precision[row] == pytest.approx(np.mean([one[1] for one in naive]))
        assert scores.map_at_r[row] == pytest.approx(np.mean([one[2] for one in naive]))


def test_a_constant_encoder_recalls_exactly_what_a_blind_draw_does() -> None:
    labels = np.repeat(np.arange(10), 4)
    scores = retrieval_scores(torch.full((40, 16), 0.3), labels, ks=(1,))
    np.testing.assert_allclose(scores.recall[1], 3 / 39, rtol=1e-14)
    np.testing.assert_allclose(scores.r_precision, 3 / 39, rtol=1e-14)


def test_a_perfect_encoder_scores_1_everywhere() -> None:
    labels = np.repeat(np.arange(5), 6)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels)).float()
    scores = retrieval_scores(one_hot, labels)
    for values in (*scores.recall.values(), scores.r_precision, scores.map_at_r):
        assert np.all(values == 1.0)


def test_the_scores_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat(np.arange(12), 5)
    # Whole numbers, so that distances are exact and tie.
    embeddings = torch.randint(0, 3, (60, 4), generator=torch.Generator().manual_seed(1)).float()
    whole = retrieval_scores(embeddings, labels)
    monkeypatch.setattr(retrieval, "CHUNK_VALUES", 130)
    parts = retrieval_scores(embeddings, labels)
    np.testing.assert_array_equal(whole.map_at_r, parts.map_at_r)
    np.testing.assert_array_equal(whole.recall[2], parts.recall[2])
    assert 0 < whole.map_at_r.mean() < 1


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        retrieval_scores(torch.zeros(1, 2), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="ks must be >= 1, got 0"):
        retrieval_scores(torch.zeros(3, 2), np.zeros(3, np.int64), ks=(0,))


def test_a_set_of_single_images_has_no_query() -> None:
    scores = retrieval_scores(torch.randn(4, 2), np.arange(4))
    assert len(scores.query) == len(scores.map_at_r) == 0
