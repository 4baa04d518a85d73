import math
from itertools import chain, pairwise

import pytest
import torch
from torch import nn

from tripletune.spaces import (
    BatchConfig,
    Contrastive,
    MinerConfig,
    MultiSimilarity,
    NTXent,
    ObjectiveConfig,
    SoftTriplet,
    SupCon,
    Triplet,
)
from tripletune.trainables.collapse import SMALLEST_SPREAD, collapse_signs, is_collapsed
from tripletune.trainables.losses import LOSSES, LossOutput, build_objective


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


BATCH_HARD = MinerConfig(name="batch_hard")

COLLAPSES = {
    "batch-hard": ObjectiveConfig(loss=Triplet(), miner=BATCH_HARD),
    "hard only": ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="hard")),
    "batch-hard, not normalised": ObjectiveConfig(loss=Triplet(unit_norm=False), miner=BATCH_HARD),
    "batch-hard, soft margin": ObjectiveConfig(loss=SoftTriplet(), miner=BATCH_HARD),
}
HOLDS = {
    "triplet all": ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="all")),
    "semi-hard": ObjectiveConfig(loss=Triplet(), miner=MinerConfig(name="semi_hard")),
    "easy positive": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="easy_positive_semi_hard")
    ),
    "distance-weighted": ObjectiveConfig(
        loss=Triplet(), miner=MinerConfig(name="distance_weighted")
    ),
    "contrastive": ObjectiveConfig(loss=Contrastive()),
    "nt_xent": ObjectiveConfig(loss=NTXent()),
    "supcon": ObjectiveConfig(loss=SupCon()),
    "multi_similarity": ObjectiveConfig(loss=MultiSimilarity()),
}
NUM_CLASSES, SAMPLES, DIM = 8, 4, 16
REPORT_EVERY = 40


def spreads_of(config: ObjectiveConfig, *, seed: int) -> list[float]:
    """Spread at each of three reports of a small encoder without batch norm."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(NUM_CLASSES, 32, generator=generator)
    labels = torch.arange(NUM_CLASSES).repeat_interleave(SAMPLES)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = [32, 64, 64, 64]
        hidden = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
        encoder = nn.Sequential(*chain.from_iterable(hidden), nn.Linear(64, DIM))
    objective = build_objective(
        config,
        batch=BatchConfig(classes=NUM_CLASSES, samples=SAMPLES),
        embedding_dim=DIM,
        num_classes=NUM_CLASSES,
    )
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    spreads = []
    for step in range(1, 3 * REPORT_EVERY + 1):
        # Noise larger than the classes are apart: the hardest negatives are nearer than positives.
        noise = torch.randn(len(labels), 32, generator=generator)
        embeddings = encoder(centres[labels] + 3.0 * noise)
        output: LossOutput = objective(embeddings, labels, generator)
        optimizer.zero_grad()
        output.value.backward()
        optimizer.step()
        if step % REPORT_EVERY == 0:
            spreads.append(collapse_signs(embeddings, labels).spread)
    return spreads


@pytest.mark.parametrize("name", COLLAPSES)
def test_hard_mining_without_batch_norm_is_called_collapsed_at_its_third_report(
    name: str,
) -> None:
    for seed in range(3):
        spreads = spreads_of(COLLAPSES[name], seed=seed)
        assert is_collapsed(spreads), (seed, spreads)


@pytest.mark.parametrize("name", HOLDS)
def test_what_does_not_mine_the_hardest_is_never_called_collapsed(name: str) -> None:
    for seed in range(3):
        spreads = spreads_of(HOLDS[name], seed=seed)
        assert not is_collapsed(spreads), (seed, spreads)


def test_healthy_supcon_is_never_called_collapsed_over_20_seeds() -> None:
    found = [spreads_of(HOLDS["supcon"], seed=seed) for seed in range(20)]
    assert not any(is_collapsed(spreads) for spreads in found)
    assert min(spreads[-1] for spreads in found) > 2 * SMALLEST_SPREAD


POINTS = {
    "triplet": (ObjectiveConfig(loss=Triplet(margin=0.3), miner=MinerConfig(name="all")), 0.3),
    "soft triplet": (ObjectiveConfig(loss=SoftTriplet()), math.log(2.0)),
    "contrastive": (ObjectiveConfig(loss=Contrastive(margin=0.8)), 0.32),
    "supcon": (ObjectiveConfig(loss=SupCon()), math.log(NUM_CLASSES * SAMPLES - 1)),
    "semi-hard": (ObjectiveConfig(loss=Triplet()), 0.0),  # no negative is farther
}


@pytest.mark.parametrize("name", POINTS)
def test_the_value_at_a_collapse_is_that_of_a_single_point(name: str) -> None:
    config, expected = POINTS[name]
    objective = build_objective(
        config,
        batch=BatchConfig(classes=NUM_CLASSES, samples=SAMPLES),
        embedding_dim=DIM,
        num_classes=NUM_CLASSES,
    )
    # float32: its unit is 2e-7 of the value.
    value = objective.collapse_value(torch.randn(DIM))
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_value_at_a_collapse(name: str) -> None:
    objective = build_objective(
        ObjectiveConfig.model_validate({"loss": {"name": name}}),
        batch=BatchConfig(classes=NUM_CLASSES, samples=SAMPLES),
        embedding_dim=DIM,
        num_classes=NUM_CLASSES,
    )
    assert math.isfinite(objective.collapse_value(torch.ones(DIM)))
