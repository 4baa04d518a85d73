"""Confusions, protocols, intervals, and all of them together."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toy import image_set, trial_data

from tripletune.spaces import EvaluationConfig
from tripletune.trainables import prepare
from tripletune.trainables.episodes import draw_episodes, score_episodes
from tripletune.trainables.evaluation import mean_with_interval
from tripletune.trainables.metrics import confusion, evaluate_embeddings, evaluate_encoder
from tripletune.trainables.metrics.interval import clustered_mean

CONFIG = EvaluationConfig(way=5, shot=1, queries=2, episodes=150)


class Constant(nn.Module):
    """Maps every image to one point."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.full((6,), 0.4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.point.expand(len(images), -1)


def noisy(spread: float, seed: int = 0) -> torch.Tensor:
    labels = torch.from_numpy(image_set().labels)
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(18, 8, generator=random)
    return centres[labels] + spread * torch.randn(len(labels), 8, generator=random)


def test_class_accuracies_and_pairs_equal_a_plain_loop() -> None:
    data, embeddings = image_set(), noisy(1.0)
    episodes = draw_episodes(data, CONFIG)
    found = confusion(embeddings, data.labels, episodes, num_pairs=1000)
    right, asked = np.zeros(18), np.zeros(18)
    wrong: dict[tuple[int, int], int] = {}
    met: dict[tuple[int, int], int] = {}
    for support, query in zip(episodes.support, episodes.query, strict=True):
        classes = data.labels[support[:, 0]]
        for place, images in enumerate(query):
            for image in images:
                distances = (embeddings[support[:, 0]] - embeddings[image]).norm(dim=1)
                answer = int(distances.argmin())
                asked[classes[place]] += 1
                right[classes[place]] += answer == place
                if answer != place:
                    low, high = sorted((int(classes[place]), int(classes[answer])))
                    wrong[low, high] = wrong.get((low, high), 0) + 1
                for other in classes:
                    if other != classes[place]:
                        low, high = sorted((int(classes[place]), int(other)))
                        met[low, high] = met.get((low, high), 0) + 1
    for score in found.classes:
        assert score.num_queries == asked[score.label]
        assert score.accuracy == pytest.approx(right[score.label] / asked[score.label])
    assert {pair.labels: pair.num_queries for pair in found.worst_pairs} == {
        pair: met[pair] for pair in wrong
    }
    for pair in found.worst_pairs:
        assert pair.rate == pytest.approx(wrong[pair.labels] / met[pair.labels])
    rates = [pair.rate for pair in found.worst_pairs]
    assert rates[0] > rates[-1]


def test_a_perfect_encoder_has_no_pairs_and_a_blurred_pair_comes_first() -> None:
    data = image_set()
    episodes = draw_episodes(data, CONFIG)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(data.labels)).float()
    assert confusion(one_hot, data.labels, episodes).worst_pairs == ()
    blurred = one_hot.clone()
    blurred[data.labels == 4] = one_hot[data.labels == 2][0]
    worst, *others = confusion(blurred, data.labels, episodes).worst_pairs
    assert worst.labels == (2, 4)
    assert worst.rate == 0.5  # ties count half
    assert not others


def test_class_accuracies_average_to_the_score() -> None:
    data, embeddings = image_set(), noisy(1.0)
    episodes = draw_episodes(data, CONFIG)
    found = confusion(embeddings, data.labels, episodes)
    total = sum(score.accuracy * score.num_queries for score in found.classes)
    mean = total / sum(score.num_queries for score in found.classes)
    assert mean == pytest.approx(score_episodes(embeddings, episodes).mean())


def test_a_constant_encoder_scores_exactly_one_in_n_on_every_protocol() -> None:
    prepared = prepare(trial_data(), CONFIG, torch.device("cpu"))
    found = evaluate_encoder(Constant(), prepared, CONFIG, unit_norm=True)
    scored = {name: score for name, score in found["protocols"].items() if "skipped" not in score}
    assert set(scored) == {
        "5-way 1-shot within a group",
        "5-way 1-shot over all classes",
        # 20-way needs 20 classes, 5-shot 7 images a class
    }
    for score in scored.values():
        assert score["one_shot_accuracy"] == pytest.approx(score["chance"], rel=1e-14)
    ways = found["open_world"]["1-shot"]
    assert ways["top_1"]["mean"] == pytest.approx(1 / (18 + 9), rel=1e-14)
    assert found["retrieval"]["recall_at_1"]["mean"] == pytest.approx(4 / 89, rel=1e-14)
    for score in found["per_class"].values():
        assert score["accuracy"] == pytest.approx(0.2, rel=1e-14)


def test_the_evaluation_is_plain_data_and_repeats_the_study_s_own_score() -> None:
    data, embeddings = image_set(images=8), None
    labels = torch.from_numpy(data.labels)
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(18, 8, generator=random)[labels]
    embeddings = embeddings + 0.8 * torch.randn(len(labels), 8, generator=random)
    found: dict[str, Any] = evaluate_embeddings(embeddings, data, CONFIG)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    own = found["protocols"]["5-way 1-shot within a group"]
    score = mean_with_interval(score_episodes(embeddings, draw_episodes(data, CONFIG)))
    assert own["one_shot_accuracy"] == score.one_shot_accuracy
    assert own["episodes_hash"] == draw_episodes(data, CONFIG).digest
    five = found["protocols"]["5-way 5-shot within a group"]
    assert five["one_shot_accuracy"] > own["one_shot_accuracy"]
    skipped = found["protocols"]["20-way 1-shot within a group"]
    assert skipped == {"skipped": "no group has 20 classes of 3 images"}
    assert set(found["per_class"]) <= set(data.classes)
    assert found["open_world"]["3-shot"]["shot"] == 3


def test_a_fresh_list_for_confirmation_differs_and_is_the_same_everywhere() -> None:
    data = image_set()
    search, confirm, test = (
        draw_episodes(data, CONFIG, stream=stream).digest
        for stream in ("search", "confirm", "test")
    )
    assert len({search, confirm, test}) == 3
    assert confirm == draw_episodes(data, CONFIG, stream="confirm").digest
    other = CONFIG.model_copy(update={"seed": 1})
    assert confirm != draw_episodes(data, other, stream="confirm").digest
    prepared = prepare(trial_data(), CONFIG, torch.device("cpu"), stream="confirm")
    fresh = draw_episodes(trial_data().validation, CONFIG, stream="confirm")
    assert prepared.episodes.digest == fresh.digest


def test_an_interval_over_classes_is_wider_than_one_over_queries_that_agree() -> None:
    random = np.random.default_rng(0)
    by_class = np.repeat(random.random(50), 20)
    classes = np.repeat(np.arange(50), 20)
    made = clustered_mean(by_class, classes)
    expected = 1.96 * by_class[::20].std(ddof=1) / 50**0.5
    assert made["mean"] == pytest.approx(by_class.mean())
    assert made["interval"][1] - made["mean"] == pytest.approx(expected, rel=1e-4)
    assert clustered_mean(by_class, np.zeros(1000, np.int64))["interval"] is None
