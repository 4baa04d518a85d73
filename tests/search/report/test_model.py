"""What the page shows of the best model."""

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from told_studies import tell

from tripletune.search.folder import find_study
from tripletune.search.report.model import best_model
from tripletune.search.report.neighbors import (
    PAIRS,
    chosen_pairs,
    chosen_queries,
    distance_histogram,
    distances,
    neighbor_map,
    principal_plane,
)
from tripletune.search.report.pictures import Pictures
from tripletune.search.study import Study


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Six classes of five points, tight but for one point that lies with another class."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 5)
    points = np.eye(6)[labels] * 10 + random.normal(0, 0.1, (30, 6))
    points[7] = points[20] + 0.01  # class 1, amid class 4
    return points.astype(np.float32), labels


def test_distances_are_those_of_each_pair(clusters: tuple[np.ndarray, np.ndarray]) -> None:
    points, _ = clusters
    between = distances(points)
    expected = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(between, expected, atol=1e-3)
    assert (np.diag(between) == 0).all()


def test_equal_embeddings_lie_at_distance_zero() -> None:
    assert (distances(np.full((4, 3), 0.577, np.float32)) < 1e-3).all()


def test_the_misplaced_image_is_the_surest_mistake(
    clusters: tuple[np.ndarray, np.ndarray],
) -> None:
    points, labels = clusters
    found = chosen_queries(distances(points), labels, np.random.default_rng(0))
    assert found["mistakes"][0].row in (7, 20)
    for query in (query for queries in found.values() for query in queries):
        assert query.row not in query.nearest
        assert list(query.distances) == sorted(query.distances)
    assert len({labels[query.row] for query in found["any"]}) == len(found["any"])


def test_hard_pairs_are_the_farthest_of_a_class_and_the_nearest_of_two(
    clusters: tuple[np.ndarray, np.ndarray],
) -> None:
    points, labels = clusters
    found = chosen_pairs(distances(points), labels, np.random.default_rng(0))
    similar, different = found["similar_hard"][0], found["different_hard"][0]
    assert 7 in similar[:2]
    assert set(different[:2]) == {7, 20}
    for kind, pairs in found.items():
        assert len(pairs) <= PAIRS
        assert all((labels[a] == labels[b]) == kind.startswith("similar") for a, b, _ in pairs)


def test_single_images_of_a_class_have_no_similar_pair() -> None:
    points = np.eye(4, dtype=np.float32)
    found = chosen_pairs(distances(points), np.arange(4), np.random.default_rng(0))
    assert found["similar_hard"] == found["similar_any"] == []
    assert found["different_hard"]


def test_histogram_sums_to_one_on_each_side(clusters: tuple[np.ndarray, np.ndarray]) -> None:
    points, labels = clusters
    found = distance_histogram(distances(points), labels, np.random.default_rng(0))
    assert sum(found["similar"]) == pytest.approx(1)
    assert sum(found["different"]) == pytest.approx(1)
    middle = np.asarray(found["edges"][:-1])
    assert middle @ found["similar"] < middle @ found["different"]


def test_plane_keeps_the_variance_of_flat_points() -> None:
    random = np.random.default_rng(0)
    flat = random.normal(size=(50, 2)) @ random.normal(size=(2, 8))
    plane, share = principal_plane(flat)
    assert share == pytest.approx(1)
    np.testing.assert_allclose(distances(plane), distances(flat), atol=1e-6)
    assert principal_plane(np.ones((5, 3)))[1] == 0


def test_too_few_images_have_no_map_of_neighbours() -> None:
    assert neighbor_map(np.eye(5, dtype=np.float32), seed=0) is None


def test_pictures_are_one_sheet_in_the_order_of_their_use() -> None:
    images = np.zeros((5, 1, 8, 8), np.uint8)
    images[3] = 200
    pictures = Pictures(images, invert=False)
    assert pictures.places([3, 1, 3]) == [0, 1, 0]
    sheet = pictures.to_json()
    kind, _, encoded = str(sheet["uri"]).partition(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        assert image.size == (sheet["columns"] * 8, sheet["rows"] * 8)
        pixels = np.asarray(image.convert("L"), dtype=int)
    assert abs(pixels[:8, :8].mean() - 200) < 8


def test_inverted_images_are_turned_back() -> None:
    pictures = Pictures(np.zeros((1, 3, 8, 8), np.uint8), invert=True)
    pictures.place(0)
    encoded = str(pictures.to_json()["uri"]).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        assert np.asarray(image).mean() > 245


def test_the_model_gets_again_what_the_leaderboard_says(trained: Study) -> None:
    found = best_model(trained)
    assert found.content is not None, found.reason
    best = trained.leaderboard().best
    assert best is not None
    assert best.last_report is not None
    first = next(iter(found.content["protocols"].values()))
    assert first["one_shot_accuracy"] == pytest.approx(best.last_report.one_shot_accuracy)
    json.dumps(found.content, allow_nan=False)


def test_only_validation_classes_are_shown(trained: Study, images: Path) -> None:
    found = best_model(trained)
    assert found.content is not None
    known = next(iter(trained.settings.data.values()))
    names = {one["name"] for one in found.content["classes"]}
    assert len(names) == known["validation_classes"] < len(list(images.iterdir()))
    shown = found.content["map"]
    assert len(shown["classes"]) == len(shown["pictures"])
    for view in shown["views"]:
        assert len(view["points"]) == len(shown["classes"])


def copy_of(study: Study, folder: Path) -> Study:
    shutil.copytree(study.folder.path, folder / study.name)
    return Study.open(find_study(study.name, folder))


def test_without_a_complete_trial_the_page_says_so(lost: Study, empty: Study) -> None:
    for study in (lost, empty):
        found = best_model(study)
        assert found.content is None
        assert "whole budget" in found.reason


def test_without_its_weights_the_page_says_so(trained: Study, tmp_path: Path) -> None:
    study = copy_of(trained, tmp_path)
    shutil.rmtree(study.folder.tune)
    found = best_model(study)
    assert found.content is None
    assert "trial 0 cannot be looked into" in found.reason.lower()


def test_export_stands_in_for_a_checkpoint_that_is_gone(trained: Study, tmp_path: Path) -> None:
    from tripletune.search.export import export_best

    study = copy_of(trained, tmp_path)
    export_best(study, study.folder.best)
    shutil.rmtree(study.folder.tune)
    assert best_model(study).content is not None


def test_an_export_of_another_trial_does_not_stand_in(trained: Study, tmp_path: Path) -> None:
    from tripletune.search.export import export_best

    study = copy_of(trained, tmp_path)
    export_best(study, study.folder.best)
    shutil.rmtree(study.folder.tune)
    better = tell(study, study.space, "done", 0.99)
    found = best_model(study)
    assert found.content is None
    assert f"Trial {better}" in found.reason


def test_a_series_is_drawn_as_a_line() -> None:
    rising = np.linspace(-3.0, 5.0, 100, dtype=np.float32)[None, None, None]
    pictures = Pictures(rising, invert=False)
    pictures.place(0)
    encoded = str(pictures.to_json()["uri"]).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        dark = np.asarray(image.convert("L")) < 128
    rows, columns = np.nonzero(dark)
    assert np.corrcoef(rows, columns)[0, 1] < -0.95
