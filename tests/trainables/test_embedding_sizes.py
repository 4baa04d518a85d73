"""The leading dimensions of an embedding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import image_set, recipe, trial_data

from tripletune.spaces import Conv4, EvaluationConfig
from tripletune.trainables import Report, Trial, prepare
from tripletune.trainables.embedding import embed
from tripletune.trainables.embedding_sizes import (
    leading,
    leading_sizes,
    principal_axes,
    score_sizes,
    some_rows,
)
from tripletune.trainables.episodes import draw_episodes, score_episodes


@pytest.fixture(scope="module")
def trained() -> tuple[Trial, Report]:
    """A trial of 16 dimensions at the end of its budget."""
    prepared = prepare(trial_data(), EvaluationConfig(way=5, episodes=50), torch.device("cpu"))
    trial = Trial(recipe(encoder=Conv4(width=8, embedding_dim=20)), prepared)
    reports = []
    while not trial.is_done:
        trial.train_to_report()
        reports.append(trial.evaluate())
    assert not any(report.sizes for report in reports[:-1])
    return trial, reports[-1]


def test_sizes_double_below_the_whole() -> None:
    assert leading_sizes(100) == [8, 16, 32, 64]
    assert leading_sizes(64) == [8, 16, 32]
    assert leading_sizes(8) == []


def test_the_axes_are_orthonormal_by_falling_variance_and_always_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    points = torch.randn(300, 6, generator=random) @ torch.randn(6, 6, generator=random)
    axes = principal_axes(points)
    torch.testing.assert_close(axes.T @ axes, torch.eye(6), atol=1e-6, rtol=0)
    variances = (points @ axes).var(0)
    assert torch.all(variances[:-1] > variances[1:])
    assert torch.equal(axes, principal_axes(points.clone()))
    _, _, expected = np.linalg.svd(points.numpy() - points.numpy().mean(0))
    alike = np.abs((axes.numpy() * expected.T).sum(0))
    np.testing.assert_allclose(alike, 1.0, atol=1e-5)


def test_all_dimensions_score_as_the_embedding_does_and_the_leading_ones_beat_the_last() -> None:
    data = image_set(images=6)
    episodes = draw_episodes(data, EvaluationConfig(way=5, episodes=200))
    labels = torch.from_numpy(data.labels)
    random = torch.Generator().manual_seed(0)
    signal = torch.zeros(len(data), 24)
    signal[:, :5] = torch.randn(18, 5, generator=random)[labels]
    mixing, _ = torch.linalg.qr(torch.randn(24, 24, generator=random))
    points = (signal + 0.1 * torch.randn(len(data), 24, generator=random)) @ mixing
    axes = principal_axes(points)
    whole = score_episodes(points, episodes).mean()
    assert score_episodes(leading(points, axes, 24, unit_norm=False), episodes).mean() == whole
    curve = score_sizes(points, axes, episodes, unit_norm=False)
    assert list(curve) == ["8", "16"]
    accuracy, low, high = curve["8"]
    assert low < accuracy < high or accuracy == 1.0
    assert accuracy > whole - 0.05
    last = leading(points, axes.flip(1), 8, unit_norm=False)
    assert score_episodes(last, episodes).mean() < 0.5 < accuracy


def test_unit_norm_before_or_after_the_rotation_is_the_same() -> None:
    raw = torch.randn(20, 12, generator=torch.Generator().manual_seed(1))
    axes = principal_axes(raw)
    unit = torch.nn.functional.normalize(raw, dim=1)
    one, other = (leading(points, axes, 5, unit_norm=True) for points in (raw, unit))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one.norm(dim=1), torch.ones(20))


def test_a_trial_scores_its_leading_dimensions_once_at_its_end(
    trained: tuple[Trial, Report],
) -> None:
    trial, report = trained
    assert list(report.sizes) == ["8", "16"]
    axes = trial.state_dict()["axes"]
    assert axes.shape == (20, 20)
    validation = trial_data().validation
    images = torch.from_numpy(validation.images)
    kept = leading(embed(trial.encoder, images, unit_norm=True), axes, 8, unit_norm=True)
    episodes = draw_episodes(validation, EvaluationConfig(way=5, episodes=50))
    assert report.sizes["8"][0] == score_episodes(kept, episodes).mean()


def test_the_axes_stand_in_the_checkpoint_and_the_curve_in_the_report(
    trained: tuple[Trial, Report], tmp_path: Path
) -> None:
    trial, report = trained
    trial.save(tmp_path / "checkpoint.pt")
    prepared = prepare(trial_data(), EvaluationConfig(way=5, episodes=50), torch.device("cpu"))
    again = Trial.resumed(trial.recipe, prepared, tmp_path / "checkpoint.pt")
    assert torch.equal(again.state_dict()["axes"], trial.state_dict()["axes"])
    assert Report(**report.to_dict()) == report
    assert replace(again.evaluate(), seconds=0.0).sizes == report.sizes


def test_rows_are_spread_over_the_set() -> None:
    assert some_rows(5).tolist() == [0, 1, 2, 3, 4]
    rows = some_rows(100_000)
    assert len(set(rows.tolist())) == 2048
    assert (int(rows[0]), int(rows[-1])) == (0, 99_999)
