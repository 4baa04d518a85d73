"""Open world: old classes in the gallery, and the answer "unknown"."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from tripletune.trainables.metrics import Gallery, open_world
from tripletune.trainables.metrics import open_world as function
from tripletune.trainables.metrics.open_world import (
    _answer,
    _draw,
    best_threshold,
    separation,
)

LABELS = np.repeat(np.arange(8), 5)
OLD = np.repeat(np.arange(6), 4)


def points(labels: np.ndarray, spread: float, seed: int, shift: float = 0.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(int(labels.max()) + 1, 5, generator=random) * 3 + shift
    return centres[torch.from_numpy(labels)] + spread * torch.randn(
        len(labels), 5, generator=random
    )


def result(embeddings: torch.Tensor, gallery: Gallery | None, **changes: Any) -> dict[str, Any]:
    made = open_world(embeddings, LABELS, gallery, **changes)
    assert made is not None
    json.dumps(made, allow_nan=False)
    return made


def test_a_constant_encoder_scores_exactly_one_in_the_classes_of_the_gallery() -> None:
    gallery = Gallery(torch.full((len(OLD), 7), 0.7), OLD)
    made = result(torch.full((len(LABELS), 7), 0.7), gallery)
    assert made["classes_in_gallery"] == 10  # 6 old ones, half of 8 new ones
    assert made["top_1"]["mean"] == pytest.approx(1 / 10, rel=1e-14)
    assert made["top_3"]["mean"] == pytest.approx(3 / 10, rel=1e-14)
    # Any of three out of 24 + 4 images, one of them right.
    assert made["top_3_images"]["mean"] == pytest.approx(3 / 28, rel=1e-14)
    assert made["unknown"]["auroc"]["mean"] == 0.5
    assert made["unknown"]["accuracy"] == 0.5


def test_a_perfect_encoder_recognises_its_own_and_refuses_the_others() -> None:
    embeddings = 10 * torch.nn.functional.one_hot(torch.from_numpy(LABELS), 20).float()
    old = 10 * torch.nn.functional.one_hot(torch.from_numpy(OLD) + 10, 20).float()
    made = result(embeddings, Gallery(old, OLD), shot=2)
    for name in ("top_1", "top_3", "top_3_images"):
        assert made[name]["mean"] == 1.0
    assert made["unknown"]["auroc"]["mean"] == 1.0
    assert made["unknown"]["accuracy"] == 1.0
    assert 0 < made["unknown"]["threshold"] < 10 * 2**0.5


def test_permuted_labels_score_at_chance() -> None:
    random = np.random.default_rng(0)
    embeddings = points(LABELS, 0.5, seed=0)[torch.from_numpy(random.permutation(len(LABELS)))]
    made = result(embeddings, None, rounds=400)
    assert made["classes_in_gallery"] == 4
    low, high = made["top_1"]["interval"]
    assert low < 0.25 < high
    low, high = made["unknown"]["auroc"]["interval"]
    assert low < 0.5 < high


@pytest.mark.parametrize("shot", [1, 2])
def test_the_answers_equal_a_plain_loop(shot: int) -> None:
    embeddings, old = points(LABELS, 2.0, seed=1), points(OLD, 2.0, seed=2)
    drawn = _draw(LABELS, np.bincount(LABELS), shot, np.random.default_rng(3))
    answers, num_classes = _answer(embeddings, LABELS, Gallery(old, OLD), drawn)
    assert num_classes == 6 + 4
    images = [("new", int(LABELS[i]), embeddings[i]) for i in drawn.enrolled]
    images += [("old", int(label), point) for label, point in zip(OLD, old, strict=True)]
    for row, query in enumerate([*drawn.known, *drawn.unknown]):
        assert query not in drawn.enrolled
        near = sorted(
            (float((point.double() - embeddings[query].double()).norm()), kind, label)
            for kind, label, point in images
        )
        assert answers.distance[row] == pytest.approx(near[0][0], abs=1e-5)
        if row >= len(drawn.known):
            continue
        own = ("new", int(LABELS[query]))
        assert answers.top_1[row] == float(near[0][1:] == own)
        assert answers.top_3_images[row] == float(own in [one[1:] for one in near[:3]])
        classes = list(dict.fromkeys(one[1:] for one in near))
        assert answers.top_3[row] == float(own in classes[:3])


def test_the_queries_of_a_round_are_of_every_class_and_half_are_enrolled() -> None:
    drawn = _draw(LABELS, np.bincount(LABELS), 1, np.random.default_rng(0))
    assert len(drawn.known) == len(drawn.unknown) == 4
    assert set(LABELS[drawn.known]) == set(LABELS[drawn.enrolled])
    assert set(LABELS[drawn.known]) | set(LABELS[drawn.unknown]) == set(range(8))


def test_the_auroc_equals_a_count_of_pairs() -> None:
    random = np.random.default_rng(0)
    known = random.integers(0, 6, 40).astype(np.float64)
    unknown = random.integers(2, 9, 30).astype(np.float64)
    pairs = [(u > k) + 0.5 * (u == k) for k in known for u in unknown]
    made = separation(known, np.arange(40) % 7, unknown, np.arange(30) % 5)
    assert made["mean"] == pytest.approx(np.mean(pairs))
    assert made["interval"][0] < made["mean"] < made["interval"][1] <= 1.0


def test_the_threshold_is_the_best_of_all() -> None:
    random = np.random.default_rng(1)
    known, unknown = random.normal(1, 0.5, 50), random.normal(2, 0.5, 60)
    is_right = random.random(50)

    def value(at: float) -> float:
        accepted = is_right * (known <= at)
        return float(accepted.mean() + (unknown > at).mean()) / 2

    best = best_threshold(known, is_right, unknown)
    tried = np.unique(np.concatenate([known, unknown]))
    assert value(best) == pytest.approx(max(value(at) for at in tried))
    assert value(best) > 0.5
    assert best_threshold(np.array([2.0]), np.array([1.0]), np.array([1.0])) == -1.0


def test_a_given_threshold_is_used_as_it_is() -> None:
    embeddings = points(LABELS, 1.0, seed=4)
    fixed = result(embeddings, None, threshold=0.0)["unknown"]
    assert (fixed["recognised"], fixed["refused"], fixed["threshold"]) == (0.0, 1.0, 0.0)
    assert fixed["threshold_set_on"] == "other data"
    own = result(embeddings, None)["unknown"]
    assert own["accuracy"] > 0.55


def test_the_same_seed_gives_the_same_rounds_and_too_few_classes_give_none() -> None:
    embeddings = points(LABELS, 2.0, seed=1)
    assert result(embeddings, None) == result(embeddings, None)
    assert result(embeddings, None) != result(embeddings, None, seed=1)
    assert function(embeddings[:15], LABELS[:15], None) is None
    assert function(embeddings, LABELS, None, shot=5) is None
