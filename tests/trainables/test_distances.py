from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from tripletune.spaces import Distance
from tripletune.trainables.distances import (
    cosine_similarities,
    distance_matrix,
    euclidean_distances,
    inner_products,
    normalise,
    squared_euclidean_distances,
)

Matrix = Callable[[Tensor, Tensor], Tensor]

MATRICES: list[Matrix] = [
    euclidean_distances,
    squared_euclidean_distances,
    cosine_similarities,
    inner_products,
]
every_matrix = pytest.mark.parametrize("matrix", MATRICES)


def random_embeddings(num_items: int = 7, dim: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_items, dim, dtype=torch.float64, generator=generator)


def test_distances_equal_those_of_cdist() -> None:
    embeddings = random_embeddings()
    expected = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(
        euclidean_distances(embeddings, embeddings), expected, atol=1e-7, rtol=0
    )
    torch.testing.assert_close(squared_euclidean_distances(embeddings, embeddings), expected**2)


def test_similarities_are_cosines_of_the_angles() -> None:
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    expected = torch.tensor([1.0, 0.0, -1.0, 0.5**0.5])
    torch.testing.assert_close(cosine_similarities(embeddings, embeddings)[0], expected)


@pytest.mark.parametrize("distance", get_args(Distance))
@pytest.mark.parametrize("unit_norm", [True, False])
def test_a_named_distance_is_its_formula(distance: Distance, unit_norm: bool) -> None:
    anchors, references = random_embeddings(), random_embeddings(4, seed=1)
    found = distance_matrix(anchors, references, distance, unit_norm=unit_norm)
    for i, j in ((0, 0), (3, 2), (6, 3)):
        a, r = anchors[i], references[j]
        cosine = a @ r / a.norm() / r.norm()
        if unit_norm:
            a, r = a / a.norm(), r / r.norm()
        formula = {
            "euclidean": (a - r).norm(),
            "squared_euclidean": (a - r).norm() ** 2,
            "cosine": 1.0 - cosine,
            "dot": -(a @ r),
        }
        torch.testing.assert_close(found[i, j], formula[distance])


@pytest.mark.parametrize("distance", get_args(Distance))
def test_distances_of_unit_vectors_ignore_their_norms(distance: Distance) -> None:
    embeddings = random_embeddings()
    scaled = embeddings * torch.arange(1, 8, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        distance_matrix(scaled, scaled, distance, unit_norm=True),
        distance_matrix(embeddings, embeddings, distance, unit_norm=True),
    )


def test_an_unknown_distance_is_refused_with_the_allowed_ones() -> None:
    embeddings = random_embeddings()
    with pytest.raises(ValueError, match=r"must be euclidean, squared_.* or dot, got .*'angle'"):
        distance_matrix(embeddings, embeddings, "angle", unit_norm=True)  # type: ignore[arg-type]  # refused


@every_matrix
def test_gradients_match_finite_differences(matrix: Matrix) -> None:
    embeddings = random_embeddings().requires_grad_()
    # Off the diagonal, where the distance has no derivative.
    upper = torch.ones(7, 7).triu(1).bool()
    assert torch.autograd.gradcheck(lambda e: matrix(e, e)[upper], embeddings)


@every_matrix
def test_gradients_by_anchors_and_references_match_finite_differences(matrix: Matrix) -> None:
    anchors = random_embeddings().requires_grad_()
    references = random_embeddings(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(matrix, (anchors, references))
    assert torch.autograd.gradcheck(matrix, (anchors.detach(), references))
    assert torch.autograd.gradcheck(matrix, (anchors, references.detach()))


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e15])
@pytest.mark.parametrize("matrix", [*MATRICES, None])
def test_identical_rows_give_finite_gradients(matrix: Matrix | None, value: float) -> None:
    embeddings = torch.full((4, 3), value, requires_grad=True)
    result = normalise(embeddings) if matrix is None else matrix(embeddings, embeddings)
    result.sum().backward()
    assert result.isfinite().all()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_a_zero_distance_is_exact_and_has_zero_gradient() -> None:
    embeddings = random_embeddings()[[0, 1, 0]].float().requires_grad_()
    distances = euclidean_distances(embeddings, embeddings)
    assert distances.diagonal().tolist() == [0.0, 0.0, 0.0]
    assert distances[0, 2].item() == 0.0
    distances[0, 2].backward()
    assert embeddings.grad is not None
    assert embeddings.grad.count_nonzero() == 0


def test_a_zero_vector_stays_zero_with_zero_gradient() -> None:
    embeddings = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    unit = normalise(embeddings)
    unit.sum().backward()
    torch.testing.assert_close(unit, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    assert embeddings.grad is not None
    assert embeddings.grad[0].tolist() == [0.0, 0.0]


def test_normalising_has_the_gradient_of_its_formula() -> None:
    assert torch.autograd.gradcheck(normalise, random_embeddings().requires_grad_())


def test_small_distances_survive_a_large_common_offset() -> None:
    around = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    shifted = around * 1e-3 + 1.0
    expected = torch.cdist(
        shifted.double(), shifted.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    found = euclidean_distances(shifted, shifted).double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-9)


@every_matrix
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_and_autocast_are_computed_in_float32(
    matrix: Matrix, dtype: torch.dtype
) -> None:
    embeddings = random_embeddings().to(dtype).requires_grad_()
    wide = embeddings.detach().float().requires_grad_()
    expected = matrix(wide, wide)
    expected.square().sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        found = matrix(embeddings, embeddings)
    found.square().sum().backward()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert embeddings.grad is not None
    assert wide.grad is not None
    assert torch.equal(embeddings.grad, wide.grad.to(dtype))


@every_matrix
def test_float64_stays_float64(matrix: Matrix) -> None:
    embeddings = random_embeddings()
    with torch.autocast("cpu", torch.bfloat16):
        found = matrix(embeddings, embeddings)
    assert found.dtype == torch.float64
