import math

import pytest
import torch
from torch import nn

from tripletune.spaces import (
    BatchConfig,
    LossConfig,
    MinerConfig,
    MinerName,
    ObjectiveConfig,
    SupCon,
    Triplet,
)
from tripletune.trainables.collapse import collapse_signs, is_collapsed
from tripletune.trainables.losses import LossOutput, build_objective


def test_isotropic_embeddings_have_full_spread_and_rank() -> None:
    axes = torch.eye(4)
    signs = collapse_signs(torch.cat([axes, -axes]) * 3.0, torch.arange(8) % 4)
    assert signs.spread == pytest.approx(1.0)
    assert signs.effective_rank == pytest.approx(4.0)
    assert signs.mean_positive_distance == pytest.approx(2.0)
    assert signs.mean_negative_distance == pytest.approx(math.sqrt(2.0))
    assert signs.embedding_norm == pytest.approx(3.0)


def test_a_single_point_has_neither_spread_nor_rank() -> None:
    signs = collapse_signs(torch.full((6, 4), 2.0), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert signs.spread == pytest.approx(0.0, abs=1e-12)
    assert signs.mean_positive_distance == signs.mean_negative_distance == 0.0
    assert signs.embedding_norm == pytest.approx(4.0)
    assert collapse_signs(torch.zeros(4, 3), torch.tensor([0, 0, 1, 1])).effective_rank == 0.0


def test_tiny_noise_has_no_spread_and_still_a_high_rank() -> None:
    noise = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    signs = collapse_signs(1.0 + 1e-4 * noise, torch.arange(200) % 10)
    assert signs.spread < 1e-3
    assert signs.effective_rank > 6.0


@pytest.mark.parametrize("num_items", [5, 40])
def test_effective_rank_is_that_of_the_singular_values(num_items: int) -> None:
    embeddings = torch.randn(
        num_items, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    energies = torch.linalg.svdvals(unit - unit.mean(0)) ** 2
    shares = energies[energies > 1e-12] / energies.sum()
    expected = math.exp(-float((shares * shares.log()).sum()))
    signs = collapse_signs(embeddings, torch.arange(num_items) % 2)
    assert signs.effective_rank == pytest.approx(expected, rel=1e-9)


def test_a_mean_over_no_pairs_is_nan() -> None:
    embeddings = torch.eye(3)
    assert math.isnan(collapse_signs(embeddings, torch.arange(3)).mean_positive_distance)
    assert math.isnan(collapse_signs(embeddings, torch.zeros(3).long()).mean_negative_distance)


def test_broken_embeddings_are_refused_with_their_count() -> None:
    embeddings = torch.eye(3)
    embeddings[1, 1] = torch.nan
    with pytest.raises(ValueError, match="must be finite, got 1 rows"):
        collapse_signs(embeddings, torch.arange(3))
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        collapse_signs(torch.eye(3)[:1], torch.zeros(1).long())


@pytest.mark.parametrize(
    ("spreads", "verdict"),
    [
        ([], False),
        ([0.01, 0.01], False),
        ([0.01, 0.01, 0.01], True),
        ([0.9, 0.09, 0.05, 0.01], True),
        ([0.01, 0.01, 0.01, 0.2], False),
        ([0.01, 0.01, 0.1], False),
        ([0.01, 0.01, math.nan], False),
    ],
)
def test_a_collapse_is_three_low_spreads_in_a_row(spreads: list[float], verdict: bool) -> None:
    assert is_collapsed(spreads) is verdict


@pytest.mark.parametrize(
    ("loss", "miner", "verdict"),
    [(Triplet(), "batch_hard", True), (SupCon(), "none", False)],
    ids=["batch-hard triplet", "supcon"],
)
def test_batch_hard_at_a_high_rate_is_called_collapsed_and_supcon_is_not(
    loss: LossConfig, miner: MinerName, verdict: bool
) -> None:
    torch.set_num_threads(1)
    num_classes, samples, dim = 8, 4, 16
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(num_classes, 32, generator=generator)
    labels = torch.arange(num_classes).repeat_interleave(samples)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, dim))
    objective = build_objective(
        ObjectiveConfig(loss=loss, miner=MinerConfig(name=miner)),
        batch=BatchConfig(classes=num_classes, samples=samples),
        embedding_dim=dim,
    )
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    spreads = []
    for step in range(1, 121):
        # Noise larger than the classes are apart: the hardest negatives are nearer than positives.
        noise = torch.randn(len(labels), 32, generator=generator)
        embeddings = encoder(centres[labels] + 3.0 * noise)
        output: LossOutput = objective(embeddings, labels, generator)
        optimizer.zero_grad()
        output.value.backward()
        optimizer.step()
        if step % 30 == 0:
            spreads.append(collapse_signs(embeddings, labels).spread)
    assert is_collapsed(spreads) is verdict, spreads
