import pytest
import torch
from torch import Tensor

from tripletune.spaces.compatibility import Distance
from tripletune.trainables.distances import (
    cosine_similarities,
    distance_matrix,
    euclidean_distances,
    normalise,
    squared_euclidean_distances,
)

MATRICES = [euclidean_distances, squared_euclidean_distances, cosine_similarities]


def random_embeddings(num_items: int = 7, dim: int = 5) -> Tensor:
    return torch.randn(
        num_items, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def test_distances_equal_those_of_cdist() -> None:
    embeddings = random_embeddings()
    expected = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(euclidean_distances(embeddings), expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(squared_euclidean_distances(embeddings), expected**2)


def test_similarities_are_cosines_of_the_angles() -> None:
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    expected = torch.tensor([1.0, 0.0, -1.0, 0.5**0.5])
    torch.testing.assert_close(cosine_similarities(embeddings)[0], expected)


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean"])
def test_distances_of_unit_vectors_ignore_their_norms(distance: Distance) -> None:
    embeddings = random_embeddings()
    scales = torch.arange(1, 8, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        distance_matrix(embeddings * scales, distance, unit_norm=True),
        distance_matrix(embeddings, distance, unit_norm=True),
    )


def test_an_unknown_distance_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(
        ValueError, match=r"must be euclidean or squared_euclidean, got .*'cosine'"
    ):
        distance_matrix(random_embeddings(), "cosine", unit_norm=True)  # type: ignore[arg-type]  # refused


@pytest.mark.parametrize("matrix", MATRICES)
def test_gradients_match_finite_differences(matrix: object) -> None:
    embeddings = random_embeddings().requires_grad_()
    # Off the diagonal, where the distance has no derivative.
    upper = torch.ones(7, 7).triu(1).bool()
    assert callable(matrix)
    assert torch.autograd.gradcheck(lambda e: matrix(e)[upper], embeddings)


@pytest.mark.parametrize("matrix", [*MATRICES, normalise])
@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e15])
def test_identical_rows_give_finite_gradients(matrix: object, value: float) -> None:
    embeddings = torch.full((4, 3), value, requires_grad=True)
    assert callable(matrix)
    result: Tensor = matrix(embeddings)
    result.sum().backward()
    assert result.isfinite().all()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_a_zero_distance_is_exact_and_has_zero_gradient() -> None:
    embeddings = random_embeddings()[[0, 1, 0]].float().requires_grad_()
    distances = euclidean_distances(embeddings)
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


def test_small_distances_survive_a_large_common_offset() -> None:
    around = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    shifted = around * 1e-3 + 1.0
    expected = torch.cdist(
        shifted.double(), shifted.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    found = euclidean_distances(shifted).double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_and_autocast_are_computed_in_float32(
    matrix: object, dtype: torch.dtype
) -> None:
    embeddings = random_embeddings().to(dtype)
    assert callable(matrix)
    expected: Tensor = matrix(embeddings.float())
    with torch.autocast("cpu", torch.bfloat16):
        found: Tensor = matrix(embeddings)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("matrix", MATRICES)
def test_float64_stays_float64(matrix: object) -> None:
    assert callable(matrix)
    with torch.autocast("cpu", torch.bfloat16):
        found: Tensor = matrix(random_embeddings())
    assert found.dtype == torch.float64
