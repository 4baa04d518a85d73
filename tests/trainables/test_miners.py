import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tripletune.spaces import BatchConfig, MinerName, compatibility
from tripletune.trainables.distances import euclidean_distances, normalise
from tripletune.trainables.miners import MINERS, Setting, Triplets
from tripletune.trainables.miners.distance_weighted import log_density
from tripletune.trainables.miners.mined import positive_slots

LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=9)
Triple = tuple[int, int, int]


def mine(miner: MinerName, distances: Tensor, labels: list[int], margin: float = 0.2) -> Triplets:
    samples = max(2, *(labels.count(label) for label in labels))
    setting = Setting(miner, BatchConfig(classes=2, samples=samples), embedding_dim=8)
    uniform = torch.rand(
        len(labels), setting.max_positives, generator=torch.Generator().manual_seed(0)
    )
    return setting.mine_triplets(distances, torch.tensor(labels), uniform, margin)


def listed(triplets: Triplets) -> list[Triple]:
    """The kept triplets as (anchor, positive, negative)."""
    found = []
    for anchor, slot, column in triplets.mask.nonzero().tolist():
        positive = int(triplets.positive_index[anchor, slot])
        index = triplets.negative_index
        negative = column if index is None else int(index[anchor, slot])
        found.append((anchor, positive, negative))
    return found


def random_distances(num_items: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return euclidean_distances(normalise(torch.randn(num_items, 8, generator=generator)))


def test_miners_are_those_of_the_compatibility_table() -> None:
    assert set(MINERS) == set(compatibility.MINERS) == set(get_args(MinerName))


@given(labels=LABELS)
def test_slots_hold_each_other_item_of_the_class_once(labels: list[int]) -> None:
    num_slots = max(1, *(labels.count(label) - 1 for label in labels))
    index, is_filled = positive_slots(torch.tensor(labels), num_slots)
    for item, label in enumerate(labels):
        others = [j for j, other in enumerate(labels) if other == label and j != item]
        assert index[item][is_filled[item]].tolist() == others
    assert 0 <= int(index.min()) <= int(index.max()) < len(labels)


@pytest.mark.parametrize("miner", sorted(MINERS))
@settings(deadline=None, max_examples=25)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_a_triplet_has_a_true_positive_and_a_true_negative(
    miner: MinerName, labels: list[int], seed: int
) -> None:
    triplets = mine(miner, random_distances(len(labels), seed), labels)
    for anchor, positive, negative in listed(triplets):
        assert labels[positive] == labels[anchor]
        assert positive != anchor
        assert labels[negative] != labels[anchor]
    assert int(triplets.mask.sum()) <= int(triplets.num_candidates)


@pytest.mark.parametrize("miner", sorted(MINERS))
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["one class", "all singletons"])
def test_an_anchor_without_positive_or_negative_is_dropped(
    miner: MinerName, labels: list[int]
) -> None:
    triplets = mine(miner, random_distances(3, 0), labels)
    assert listed(triplets) == []
    assert int(triplets.num_candidates) == 0


@pytest.mark.parametrize("miner", sorted(MINERS))
def test_no_gradient_flows_through_the_choice(miner: MinerName) -> None:
    distances = random_distances(6, 0).requires_grad_()
    triplets = mine(miner, distances, [0, 0, 0, 1, 1, 1])
    assert not triplets.mask.requires_grad


# Anchor 0 on a line: positives at 1 and 3, negatives at 0.5, 1.1, 3.05 and 9.
LINE = torch.tensor([0.0, 1.0, 3.0, 0.5, 1.1, 3.05, 9.0])
LINE_LABELS = [0, 0, 0, 1, 2, 3, 4]


def of_the_first_anchor(miner: MinerName, margin: float = 0.2) -> list[Triple]:
    distances = (LINE[:, None] - LINE[None, :]).abs()
    return [t for t in listed(mine(miner, distances, LINE_LABELS, margin)) if t[0] == 0]


def test_all_keeps_each_positive_with_each_negative() -> None:
    assert of_the_first_anchor("all") == [(0, p, n) for p in (1, 2) for n in (3, 4, 5, 6)]


def test_semihard_negative_is_farther_than_the_positive_by_less_than_the_margin() -> None:
    assert of_the_first_anchor("semi_hard") == [(0, 1, 4), (0, 2, 5)]


def test_semihard_gives_nothing_where_the_band_is_empty() -> None:
    assert of_the_first_anchor("semi_hard", margin=0.01) == []


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative() -> None:
    assert of_the_first_anchor("batch_hard") == [(0, 2, 3)]


def test_easy_positive_is_the_nearest_and_its_negative_the_next_farther() -> None:
    assert of_the_first_anchor("easy_positive_semi_hard") == [(0, 1, 4)]


def test_easy_positive_drops_an_anchor_with_no_farther_negative() -> None:
    position = torch.tensor([0.0, 2.0, 1.0])
    distances = (position[:, None] - position[None, :]).abs()
    anchors = {t[0] for t in listed(mine("easy_positive_semi_hard", distances, [0, 0, 1]))}
    assert anchors == set()


def test_distance_weighted_draws_as_often_as_one_over_the_density() -> None:
    num_items, dim, draws = 8, 16, 40_000
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])
    distances = torch.full((num_items, num_items), 1.0, dtype=torch.float64)
    distances[0] = torch.tensor([0.0, 0.1, 0.3, 0.7, 0.9, 1.1, 1.39, 1.41])
    # 1 / q(d) = d^(2 - n) (1 - d^2 / 4)^((3 - n) / 2), floor 0.5, nothing from 1.4 on
    expected = torch.zeros(num_items, dtype=torch.float64)
    for j in range(2, 7):
        d = max(0.5, float(distances[0, j]))
        expected[j] = d ** (2 - dim) * (1 - d**2 / 4) ** ((3 - dim) / 2)
    expected /= expected.sum()
    setting = Setting("distance_weighted", BatchConfig(classes=2, samples=draws + 1), dim)
    uniform = torch.rand(num_items, draws, generator=torch.Generator().manual_seed(0))
    triplets = setting.mine_triplets(distances, labels, uniform)
    assert triplets.negative_index is not None
    drawn = triplets.negative_index[0].bincount(minlength=num_items) / draws
    torch.testing.assert_close(drawn.double(), expected, atol=4 * 0.5 / draws**0.5, rtol=0)
    assert drawn[expected == 0].count_nonzero() == 0


def test_distance_weighted_drops_an_anchor_with_only_far_negatives() -> None:
    distances = torch.tensor([[0.0, 0.3, 1.5], [0.3, 0.0, 0.8], [1.5, 0.8, 0.0]])
    triplets = mine("distance_weighted", distances, [0, 0, 1])
    assert listed(triplets) == [(1, 0, 2)]
    assert int(triplets.num_candidates) == 2


def test_distance_weighted_repeats_with_its_random_numbers() -> None:
    distances, labels = random_distances(9, 1), [0, 0, 0, 1, 1, 1, 2, 2, 2]
    first, second = (mine("distance_weighted", distances, labels) for _ in range(2))
    assert listed(first) == listed(second) != []


def test_log_density_is_the_log_of_the_formula_and_finite_in_high_dimensions() -> None:
    d, n = 0.8, 5
    formula = math.log(d ** (n - 2) * (1 - d * d / 4) ** ((n - 3) / 2))
    found = log_density(torch.tensor(d, dtype=torch.float64), n)
    assert float(found) == pytest.approx(formula, rel=1e-12)
    assert log_density(torch.tensor([0.0, 0.5, 2.0]), 4096).isfinite().all()


def test_distance_weighted_is_finite_in_high_dimensions() -> None:
    setting = Setting("distance_weighted", BatchConfig(classes=2, samples=2), 4096)
    distances = torch.tensor(
        [[0.0, 0.2, 0.51, 1.39], [0.2, 0.0, 0.4, 1.3], [0.51, 0.4, 0.0, 1.3], [1.39, 1.3, 1.3, 0]]
    )
    triplets = setting.mine_triplets(
        distances, torch.tensor([0, 0, 1, 1]), torch.full((4, 1), 0.9)
    )
    assert listed(triplets)[:2] == [(0, 1, 2), (1, 0, 2)]


@settings(deadline=None, max_examples=25)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_pairs_are_those_that_the_triplets_are_made_of(labels: list[int], seed: int) -> None:
    for miner in MINERS:
        triplets = mine(miner, random_distances(len(labels), seed), labels)
        pairs = triplets.to_pairs()
        positives = {(a, p) for a, p, _ in listed(triplets)}
        negatives = {(a, n) for a, _, n in listed(triplets)}
        assert {(i, j) for i, j in pairs.positives.nonzero().tolist()} == positives
        assert {(i, j) for i, j in pairs.negatives.nonzero().tolist()} == negatives
