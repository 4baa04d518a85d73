"""The thresholds of unknown: what they promise holds on classes like those they come from."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from tripletune.trainables.calibration import Calibration, calibrate


def clouds(
    num_classes: int, num_images: int, *, seed: int, dim: int = 8
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Classes as clouds around random points."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(num_classes, 1, dim))
    points = centres + random.normal(0, 0.25, (num_classes, num_images, dim))
    embeddings = points.reshape(-1, dim).astype(np.float32)
    return embeddings, np.repeat(np.arange(num_classes), num_images)


def accepted_share(threshold: float, gallery: int, *, seed: int, dim: int = 8) -> float:
    """Share of strangers below the threshold in galleries of new classes, by a plain loop."""
    random = np.random.default_rng(seed)
    accepted = []
    for _ in range(4000):
        points = random.normal(size=(gallery + 1, dim))
        points += random.normal(0, 0.25, points.shape)
        nearest = np.sqrt(((points[1:] - points[0]) ** 2).sum(1)).min()
        accepted.append(nearest < threshold)
    return float(np.mean(accepted))


@pytest.mark.parametrize("gallery", [1, 10, 50])
def test_strangers_are_accepted_at_the_rate_on_classes_never_seen(gallery: int) -> None:
    calibration = calibrate(*clouds(200, 4, seed=0), 0.05)
    threshold = calibration.threshold(gallery)
    assert threshold.is_measured
    share = accepted_share(threshold.distance, gallery, seed=1)
    assert 0.03 < share < 0.075


def test_an_extrapolated_threshold_accepts_about_the_rate() -> None:
    calibration = calibrate(*clouds(150, 6, seed=0), 0.1)
    threshold = calibration.threshold(300)
    assert not threshold.is_measured
    assert threshold.identified is None
    assert 0.0 < accepted_share(threshold.distance, 300, seed=1) < 0.15


def test_the_smallest_case_is_counted_by_hand() -> None:
    # Two classes on a line: a at 0 and 1, b at 10 and 12. A stranger of a meets one image of b.
    embeddings = np.array([[0.0], [1.0], [10.0], [12.0]], np.float32)
    calibration = calibrate(embeddings, np.array([0, 0, 1, 1]), 0.25)
    (one,) = (one for one in calibration.thresholds[0.25] if one.is_measured)
    assert one.images == 1
    # Distances of pairs are 9, 10, 11, 12, about as often: a quarter lies at 9.
    assert 9.0 <= one.distance <= 10.0
    assert one.identified == 1.0


def test_thresholds_fall_with_the_gallery_and_rise_with_the_rate() -> None:
    calibration = calibrate(*clouds(80, 5, seed=0))
    assert set(calibration.thresholds) == {0.01, 0.05, 0.1}  # 400 images cannot show 0.001
    for thresholds in calibration.thresholds.values():
        distances = [one.distance for one in thresholds]
        assert distances == sorted(distances, reverse=True)
        sizes = [one.images for one in thresholds]
        assert sizes == sorted(set(sizes))
    for size in (1, 20, 79):
        strict, usual, lax = (
            calibration.threshold(size, rate).distance for rate in (0.01, 0.05, 0.1)
        )
        assert strict < usual < lax


def test_a_gallery_larger_than_all_listed_takes_the_last_threshold() -> None:
    calibration = calibrate(*clouds(30, 4, seed=0))
    last = calibration.thresholds[0.05][-1]
    assert calibration.threshold(10**9) == last
    assert calibration.threshold(last.images) == last


def test_it_comes_back_from_its_file() -> None:
    calibration = calibrate(*clouds(20, 4, seed=0), 0.07)
    assert Calibration.from_json(calibration.to_json()) == calibration
    assert json.loads(calibration.to_json())["measured_on"] == "validation classes"


def test_rates_that_cannot_be_shown_are_refused() -> None:
    embeddings, labels = clouds(5, 3, seed=0)
    for rate in (0.0, 0.01, 1.0):
        with pytest.raises(ValueError, match=r"rate must be >= 1 / 15, the validation images"):
            calibrate(embeddings, labels, rate)
    assert calibrate(embeddings, labels).rate == pytest.approx(1 / 15)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        calibrate(embeddings[:3], labels[:3])


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        '{"thresholds": []}',
        '{"thresholds": [], "false_accept_rate": 0.1, "classes": 1, "images": 1}',
        '{"thresholds": 3, "false_accept_rate": 0.1}',
        '{"thresholds": [{"false_accept_rate": 0.1, "images": 1, "distance": NaN}]}',
    ],
)
def test_a_forged_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        Calibration.from_json(text)
