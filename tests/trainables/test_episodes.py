"""Frozen episodes and their score."""

import numpy as np
import pytest
import torch
from toy import image_set

from tripletune.spaces import EvaluationConfig
from tripletune.trainables import episodes
from tripletune.trainables.episodes import Episodes, draw_episodes, score_episodes

CONFIG = EvaluationConfig(way=5, shot=1, queries=2, episodes=200)


def test_support_and_query_are_different_images_of_one_class_in_each_row() -> None:
    data = image_set()
    episodes = draw_episodes(data, CONFIG)
    assert episodes.support.shape == (200, 5, 1)
    assert episodes.query.shape == (200, 5, 2)
    support, query = data.labels[episodes.support], data.labels[episodes.query]
    assert np.array_equal(np.broadcast_to(support, query.shape), query)
    images = np.concatenate([episodes.support, episodes.query], axis=2)
    assert all(len(set(row)) == 3 for row in images.reshape(-1, 3).tolist())
    assert all(len(set(row)) == 5 for row in support[:, :, 0].tolist())


def test_the_classes_of_an_episode_share_a_group_when_drawn_within_it() -> None:
    data = image_set()
    within = data.group_of_class[data.labels[draw_episodes(data, CONFIG).support[..., 0]]]
    assert np.all(within == within[:, :1])
    anywhere = draw_episodes(data, CONFIG.model_copy(update={"within": "any"}))
    mixed = data.group_of_class[data.labels[anywhere.support[..., 0]]]
    assert not np.all(mixed == mixed[:, :1])


def test_every_class_stands_at_every_place_alike() -> None:
    data = image_set(groups=1, classes=6)
    many = CONFIG.model_copy(update={"episodes": 6000})
    place = data.labels[draw_episodes(data, many).support[:, 0, 0]]
    counts = np.bincount(place, minlength=6)
    assert np.abs(counts - 1000).max() < 115  # 4 standard deviations


def test_the_same_seed_gives_the_same_list_and_another_seed_another() -> None:
    data = image_set()
    assert draw_episodes(data, CONFIG).digest == draw_episodes(data, CONFIG).digest
    other = CONFIG.model_copy(update={"seed": 1})
    assert draw_episodes(data, CONFIG).digest != draw_episodes(data, other).digest


def test_the_list_does_not_depend_on_the_pixels() -> None:
    first, second = image_set(seed=0), image_set(seed=9)
    assert draw_episodes(first, CONFIG).digest == draw_episodes(second, CONFIG).digest


def test_an_episode_that_no_group_can_hold_is_refused() -> None:
    too_wide = CONFIG.model_copy(update={"way": 7})
    with pytest.raises(ValueError, match=r"evaluation.way must be <= 6, .* got way=7"):
        draw_episodes(image_set(classes=6), too_wide)
    too_many = CONFIG.model_copy(update={"queries": 5})
    with pytest.raises(ValueError, match=r"with at least shot \+ queries = 6 images"):
        draw_episodes(image_set(images=5), too_many)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("dim", [3, 64, 129])
def test_a_constant_encoder_scores_exactly_one_in_n(value: float, dim: int) -> None:
    data = image_set()
    scores = score_episodes(torch.full((len(data), dim), value), draw_episodes(data, CONFIG))
    np.testing.assert_allclose(scores, 0.2, rtol=1e-15)


def test_a_perfect_encoder_scores_1_and_its_opposite_0() -> None:
    data = image_set()
    episodes = draw_episodes(data, CONFIG)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(data.labels)).float()
    assert np.all(score_episodes(one_hot, episodes) == 1.0)
    wrong = Episodes(episodes.support, np.roll(episodes.query, 1, axis=1))
    assert np.all(score_episodes(one_hot, wrong) == 0.0)


def test_permuted_labels_score_at_chance() -> None:
    data = image_set()
    many = draw_episodes(data, CONFIG.model_copy(update={"episodes": 4000}))
    noise = torch.randn(len(data), 32, generator=torch.Generator().manual_seed(0))
    assert abs(score_episodes(noise, many).mean() - 0.2) < 0.03


def test_the_score_equals_a_plain_loop() -> None:
    data = image_set()
    config = CONFIG.model_copy(update={"shot": 2, "episodes": 30})
    episodes = draw_episodes(data, config)
    embeddings = torch.randn(len(data), 7, generator=torch.Generator().manual_seed(1))
    expected = []
    for support, query in zip(episodes.support, episodes.query, strict=True):
        means = embeddings[support].double().mean(1)
        right = 0
        for own, images in enumerate(query):
            for image in images:
                distances = (means - embeddings[image].double()).norm(dim=1)
                right += int(distances.argmin() == own)
        expected.append(right / query.size)
    np.testing.assert_allclose(score_episodes(embeddings, episodes), expected)


@pytest.mark.parametrize("shot", [1, 3])
def test_the_score_does_not_depend_on_how_much_is_held_at_once(
    shot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_set()
    config = CONFIG.model_copy(update={"shot": shot, "queries": 2, "episodes": 101})
    drawn = draw_episodes(data, config)
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(data.num_classes, 7, generator=generator)
    noise = torch.randn(len(data), 7, generator=generator)
    embeddings = centres[torch.from_numpy(data.labels)] + noise
    expected = score_episodes(embeddings, drawn)
    assert 0.3 < expected.mean() < 0.95
    for values in (1, 1000, 10_000):
        monkeypatch.setattr(episodes, "CHUNK_VALUES", values)
        np.testing.assert_array_equal(score_episodes(embeddings, drawn), expected)


def test_scoring_holds_no_more_numbers_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_set()
    largest = 0
    take = episodes._take

    def watched(rows: torch.Tensor, index: torch.Tensor, origin: None) -> torch.Tensor:
        nonlocal largest
        taken = take(rows, index, origin)
        largest = max(largest, taken.numel())
        return taken

    monkeypatch.setattr(episodes, "_take", watched)
    monkeypatch.setattr(episodes, "CHUNK_VALUES", 5000)
    score_episodes(torch.randn(len(data), 64), draw_episodes(data, CONFIG))
    assert 0 < largest <= 5000


def test_pixels_score_as_their_floats_do_and_the_threads_are_given_back() -> None:
    data = image_set()
    drawn = draw_episodes(data, CONFIG)
    pixels = torch.from_numpy(data.images).flatten(1)
    before = torch.get_num_threads()
    floats = score_episodes(pixels.float() / 255, drawn)
    np.testing.assert_array_equal(score_episodes(pixels, drawn), floats)
    assert torch.get_num_threads() == before
    assert 0.2 < floats.mean() < 1.0
