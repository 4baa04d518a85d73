"""The gallery: exact search, one file, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from tripletune.trainables.gallery import Gallery, load_gallery


def filled(num_names: int = 12, *, seed: int = 0, dim: int = 6) -> Gallery:
    """A gallery of one to four images a name, in mixed order."""
    random = np.random.default_rng(seed)
    gallery = Gallery.empty(dim)
    for _ in range(2):
        for name in random.permutation(num_names):
            images = random.normal(size=(random.integers(1, 3), dim)).astype(np.float32)
            gallery = gallery.added(f"n{name}", images)
    return gallery


@pytest.mark.parametrize("num_names", [2, 12, 90])
def test_the_search_is_that_of_a_naive_loop(num_names: int) -> None:
    gallery = filled(num_names)
    queries = np.random.default_rng(1).normal(size=(150, 6)).astype(np.float32)
    for query, match in zip(queries, gallery.nearest(queries), strict=True):
        nearest: dict[str, float] = {}
        for owner, image in zip(gallery.owners, gallery.embeddings, strict=True):
            distance = float(np.sqrt(((query.astype(float) - image.astype(float)) ** 2).sum()))
            name = gallery.names[owner]
            nearest[name] = min(distance, nearest.get(name, np.inf))
        first, second = sorted(nearest, key=nearest.__getitem__)[:2]
        assert (match.name, match.runner_up) == (first, second)
        assert match.distance == pytest.approx(nearest[first], abs=1e-9)
        assert match.runner_up_distance == pytest.approx(nearest[second], abs=1e-9)


def test_an_enrolled_image_is_at_distance_zero_although_the_vectors_are_long() -> None:
    random = np.random.default_rng(0)
    gallery = Gallery.empty(8)
    for name in range(50):
        gallery = gallery.added(f"n{name}", random.normal(100, 1, (1, 8)).astype(np.float32))
    for name, match in enumerate(gallery.nearest(gallery.embeddings)):
        assert (match.name, match.distance) == (f"n{name}", 0.0)


def test_a_name_with_many_images_near_hides_no_runner_up() -> None:
    random = np.random.default_rng(0)
    near, far = random.normal(0, 0.1, (200, 5)), random.normal(9, 0.1, (3, 5))
    gallery = Gallery.empty(5).added("far", far.astype(np.float32))
    gallery = gallery.added("near", near.astype(np.float32))
    for match in gallery.nearest(np.zeros((3, 5), np.float32)):
        assert (match.name, match.runner_up) == ("near", "far")
        expected = np.linalg.norm(far.astype(np.float32).astype(np.float64), axis=1).min()
        assert match.runner_up_distance == pytest.approx(expected, abs=1e-9)


def test_of_equal_images_the_first_enrolled_is_nearest() -> None:
    image = np.ones((1, 4), np.float32)
    gallery = Gallery.empty(4).added("b", image).added("a", image)
    (match,) = gallery.nearest(image)
    assert (match.name, match.runner_up, match.runner_up_distance) == ("b", "a", 0.0)


def test_a_gallery_of_one_has_no_runner_up() -> None:
    gallery = Gallery.empty(3).added("ann", np.ones((2, 3), np.float32))
    (match,) = gallery.nearest(np.zeros((1, 3), np.float32))
    assert (match.name, match.runner_up, match.runner_up_distance) == ("ann", None, None)


def test_a_removed_name_leaves_the_others_as_they_were() -> None:
    gallery = filled()
    left = gallery.removed("n3")
    assert left.names == tuple(name for name in gallery.names if name != "n3")
    for name in left.names:
        np.testing.assert_array_equal(
            left.embeddings[left.owners == left.names.index(name)],
            gallery.embeddings[gallery.owners == gallery.names.index(name)],
        )
    with pytest.raises(KeyError):
        left.removed("n3")


def test_an_empty_gallery_and_a_bad_name_are_refused() -> None:
    with pytest.raises(ValueError, match="must hold somebody, got nobody: enrol a name first"):
        Gallery.empty(3).nearest(np.zeros((1, 3), np.float32))
    for name in ("", " ann", "a\nb", "x" * 201, "a\x1b[31m"):
        with pytest.raises(ValueError, match="name must be 1 to 200 printable characters"):
            Gallery.empty(3).added(name, np.zeros((1, 3), np.float32))


def test_a_saved_gallery_comes_back_equal(tmp_path: Path) -> None:
    gallery = filled().added("Zo\u00eb \u732b", np.ones((1, 6), np.float32))
    gallery.save(tmp_path / "g", "digest")
    loaded, model = load_gallery(tmp_path / "g")
    assert (loaded.names, model) == (gallery.names, "digest")
    np.testing.assert_array_equal(loaded.owners, gallery.owners)
    np.testing.assert_array_equal(loaded.embeddings, gallery.embeddings)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"owners": torch.zeros(3, dtype=torch.int32)}, "owners must be int64"),
        ({"owners": torch.tensor([0, 0, 7])}, "owners must name each name"),
        ({"owners": torch.tensor([0, 1])}, "embeddings must be float32 of shape"),
        ({"embeddings": torch.full((3, 2), torch.nan)}, "must be finite"),
        ({"embeddings": torch.zeros(3, 2, dtype=torch.float64)}, "embeddings must be float32"),
        ({"names": '["a", "a"]'}, "names must be different texts"),
        ({"names": "[1, 2]"}, "names must be different texts"),
        ({"format": "2"}, "update tripletune"),
    ],
)
def test_a_forged_gallery_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    values: dict[str, object] = {
        "owners": torch.tensor([0, 0, 1]),
        "embeddings": torch.zeros(3, 2),
        "format": "1",
        "model": "m",
        "names": '["a", "b"]',
        **change,
    }
    tensors = {name: one for name, one in values.items() if isinstance(one, torch.Tensor)}
    about = {name: one for name, one in values.items() if isinstance(one, str)}
    (tmp_path / "g").write_bytes(save(tensors, about))
    with pytest.raises(ValueError, match=f"must be an undamaged gallery, got: .*{message}"):
        load_gallery(tmp_path / "g")


def test_what_is_no_gallery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="it does not exist"):
        load_gallery(tmp_path / "g")
    (tmp_path / "g").write_bytes(b"no gallery")
    with pytest.raises(ValueError, match="must be an undamaged gallery"):
        load_gallery(tmp_path / "g")
