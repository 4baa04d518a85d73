"""The losses equal those of pytorch-metric-learning, an independent implementation."""

import pytest
import torch
from torch import Tensor

from tripletune.spaces import (
    BatchConfig,
    Contrastive,
    LossConfig,
    MinerConfig,
    MinerName,
    NTXent,
    ObjectiveConfig,
    SupCon,
    Triplet,
)
from tripletune.trainables.losses import LossOutput, build_objective

pml_losses = pytest.importorskip(
    "pytorch_metric_learning.losses", reason="the oracle is not installed: pip install .[dev]"
)
pml_miners = pytest.importorskip("pytorch_metric_learning.miners")
pml_distances = pytest.importorskip("pytorch_metric_learning.distances")
pml_reducers = pytest.importorskip("pytorch_metric_learning.reducers")

DIM = 8
BATCHES = {
    "random": [2, 0, 1, 0, 2, 1, 1, 0, 2, 3, 3, 3],
    "imbalanced": [0, 0, 0, 0, 0, 1, 1, 2, 2],
    "singletons among others": [0, 0, 1, 2, 2, 2, 3],
    "same image twice": [0, 0, 0, 1, 1, 1],
    "single class": [0, 0, 0, 0],
    "one image a class": [0, 1, 2, 3],
}


def images_of(batch: str) -> tuple[Tensor, list[int]]:
    labels = BATCHES[batch]
    images = torch.randn(
        len(labels), DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    which = [0, 0, 1, 2, 3, 3] if batch == "same image twice" else list(range(len(labels)))
    return images.requires_grad_(), which


def ours(loss: LossConfig, miner: MinerName, embeddings: Tensor, labels: list[int]) -> Tensor:
    samples = max(2, *(labels.count(label) for label in labels))
    objective = build_objective(
        ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner)),
        batch=BatchConfig(classes=max(2, len(set(labels))), samples=samples),
        embedding_dim=DIM,
    )
    output: LossOutput = objective(embeddings, torch.tensor(labels), torch.Generator())
    return output.value


def theirs(loss: LossConfig, miner: MinerName, embeddings: Tensor, labels: Tensor) -> Tensor:
    chosen = None
    if miner == "semi_hard":
        assert isinstance(loss, Triplet)
        chosen = pml_miners.TripletMarginMiner(
            margin=loss.margin, type_of_triplets="semihard", distance=distance_of(loss)
        )(embeddings, labels)
    elif miner == "batch_hard":
        chosen = pml_miners.BatchHardMiner(distance=distance_of(loss))(embeddings, labels)
    elif miner == "easy_positive_semi_hard":
        chosen = pml_miners.BatchEasyHardMiner(distance=distance_of(loss))(embeddings, labels)
    if isinstance(loss, Triplet):
        reducer = (
            pml_reducers.AvgNonZeroReducer()
            if loss.reduction == "active"
            else pml_reducers.MeanReducer()
        )
        function = pml_losses.TripletMarginLoss(
            margin=loss.margin, distance=distance_of(loss), reducer=reducer
        )
    elif isinstance(loss, SupCon):
        function = pml_losses.SupConLoss(temperature=loss.temperature)
    else:
        assert isinstance(loss, NTXent)
        function = pml_losses.NTXentLoss(temperature=loss.temperature)
    value: Tensor = function(embeddings, labels, chosen)
    return value


def distance_of(loss: LossConfig) -> object:
    is_squared = isinstance(loss, Triplet) and loss.distance == "squared_euclidean"
    has_unit_norm = loss.unit_norm if isinstance(loss, Triplet) else True
    return pml_distances.LpDistance(
        normalize_embeddings=has_unit_norm, power=2 if is_squared else 1
    )


def assert_equal(images: Tensor, found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0, check_dtype=False)
    (gradient,) = torch.autograd.grad(found, images)
    (expected_gradient,) = torch.autograd.grad(expected, images)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("loss", "miner"),
    [
        (Triplet(), "all"),
        (Triplet(reduction="all"), "all"),
        (Triplet(margin=0.5, distance="squared_euclidean"), "all"),
        (Triplet(margin=0.5, unit_norm=False), "all"),
        (Triplet(), "semi_hard"),
        (Triplet(), "batch_hard"),
        (Triplet(reduction="all"), "batch_hard"),
        (Triplet(), "easy_positive_semi_hard"),
        (SupCon(), "none"),
        (NTXent(temperature=0.2), "none"),
        (NTXent(temperature=0.2), "easy_positive_semi_hard"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_value_and_gradient_equal_those_of_pytorch_metric_learning(
    loss: LossConfig, miner: MinerName, batch: str
) -> None:
    if isinstance(loss, SupCon) and batch == "single class":
        pytest.skip("there we keep the paper's terms, which are valid; the oracle gives 0")
    images, which = images_of(batch)
    labels = BATCHES[batch]
    found = ours(loss, miner, images[which], labels)
    expected = theirs(loss, miner, images[which], torch.tensor(labels))
    assert_equal(images, found, expected)


def test_the_positive_side_of_contrastive_is_half_the_squared_distance() -> None:
    """The oracle's contrastive loss is linear in its distance: on d^2, twice ours."""
    images, _ = images_of("random")
    labels = BATCHES["random"]
    function = pml_losses.ContrastiveLoss(
        pos_margin=0.0, neg_margin=0.0, distance=pml_distances.LpDistance(power=2)
    )
    found = ours(Contrastive(margin=1e-9), "all", images, labels)
    assert_equal(images, found, function(images, torch.tensor(labels)) / 2.0)
