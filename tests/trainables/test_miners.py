"""The contract of every miner, and what each keeps on one line of points.

A new miner joins with its rule in `naive_losses.mined_triplets` and a row in `ON_THE_LINE`.
"""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_losses import (
    Matrix,
    Pair,
    Triple,
    candidates,
    mined_pairs_by_similarity,
    mined_triplets,
)
from torch import Tensor

from tripletune.spaces import BatchConfig, MinerName, compatibility
from tripletune.trainables.distances import euclidean_distances, normalise
from tripletune.trainables.items import Items
from tripletune.trainables.miners import MINERS, PAIR_MINERS, Pairs, Setting, Triplets
from tripletune.trainables.miners.distance_weighted import log_density
from tripletune.trainables.miners.mined import positive_slots

DIM = 8
LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=9)
every_miner = pytest.mark.parametrize("miner", sorted(MINERS))


def draws(num_items: int, num_numbers: int, seed: int = 0) -> Tensor:
    return torch.rand(num_items, num_numbers, generator=torch.Generator().manual_seed(seed))


def samples_of(labels: list[int]) -> int:
    return max(2, *(labels.count(label) for label in labels))


def items_of(labels: list[int], uniform: Tensor, embeddings: Tensor | None = None) -> Items:
    if embeddings is None:
        embeddings = torch.zeros(len(labels), DIM)
    return Items.of_batch(embeddings, torch.tensor(labels), uniform)


def mine_tensors(
    miner: MinerName,
    distances: Tensor,
    labels: list[int],
    margin: float = 0.2,
    uniform: Tensor | None = None,
    dim: int = DIM,
) -> Triplets:
    samples = samples_of(labels)
    setting = Setting(miner, BatchConfig(classes=2, samples=samples), dim, margin=margin)
    uniform = draws(len(labels), samples) if uniform is None else uniform
    return setting.mine_triplets(distances, items_of(labels, uniform))


def mine(
    miner: MinerName,
    distances: Tensor,
    labels: list[int],
    margin: float = 0.2,
    uniform: Tensor | None = None,
) -> list[Triple]:
    return listed(mine_tensors(miner, distances, labels, margin, uniform), distances)


def listed(triplets: Triplets, distances: Tensor) -> list[Triple]:
    """The kept triplets as (anchor, positive, negative)."""
    positives, negatives = triplets.positive_index, triplets.negative_index
    if negatives is not None:
        return [
            (a, int(positives[a, slot]), int(negatives[a, slot]))
            for a, slot in triplets.is_kept.nonzero().tolist()
        ]
    gaps = distances[:, None, :] - distances.gather(1, positives)[:, :, None]
    is_kept = triplets.is_kept[:, :, None] & triplets.is_negative[:, None, :]
    if triplets.rule is not None:
        is_kept = is_kept & triplets.rule(gaps)
    return [(a, int(positives[a, slot]), n) for a, slot, n in is_kept.nonzero().tolist()]


def listed_pairs(pairs: Pairs) -> tuple[list[Pair], list[Pair]]:
    """The kept pairs, positive ones and negative ones."""
    positives = [
        (a, int(pairs.positive_index[a, slot])) for a, slot in pairs.is_positive.nonzero().tolist()
    ]
    return positives, [(a, n) for a, n in pairs.negatives.nonzero().tolist()]


def on_a_line(positions: list[float]) -> Tensor:
    place = torch.tensor(positions, dtype=torch.float32)
    return (place[:, None] - place[None, :]).abs()


def random_distances(num_items: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    unit = normalise(torch.randn(num_items, DIM, generator=generator))
    return euclidean_distances(unit, unit)


def test_miners_are_those_of_the_compatibility_table() -> None:
    assert {*MINERS, *PAIR_MINERS} == set(compatibility.MINERS) == set(get_args(MinerName))
    assert not set(MINERS) & set(PAIR_MINERS)


@given(labels=LABELS)
def test_slots_hold_each_other_item_of_the_class_once(labels: list[int]) -> None:
    num_slots = max(1, *(labels.count(label) - 1 for label in labels))
    given_labels = torch.tensor(labels)
    index, is_filled = positive_slots(
        given_labels, given_labels, torch.arange(len(labels)), num_slots
    )
    for item in range(len(labels)):
        assert index[item][is_filled[item]].tolist() == candidates(labels, item)[0]
    assert 0 <= int(index.min()) <= int(index.max()) < len(labels)


def by_the_rule(
    miner: MinerName, distances: Tensor, labels: list[int], margin: float, uniform: Tensor
) -> list[Triple]:
    matrix: Matrix = distances.tolist()
    return mined_triplets(miner, matrix, labels, uniform.tolist(), margin=margin, dim=DIM)


@every_miner
@settings(deadline=None, max_examples=25)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_a_miner_keeps_what_its_rule_says(miner: MinerName, labels: list[int], seed: int) -> None:
    distances = random_distances(len(labels), seed).double()
    uniform = draws(len(labels), samples_of(labels), seed)
    found = mine(miner, distances, labels, 0.2, uniform)
    assert found == by_the_rule(miner, distances, labels, 0.2, uniform)


@every_miner
@settings(deadline=None, max_examples=25)
@given(
    points=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=2, max_size=8),
    seed=st.integers(0, 99),
)
def test_a_tie_goes_to_the_first_of_the_batch(
    miner: MinerName, points: list[tuple[int, int]], seed: int
) -> None:
    """Whole numbers on a line: equal distances, equal points, and gaps of just the margin."""
    labels = [label for label, _ in points]
    distances = on_a_line([float(place) for _, place in points]).double()
    uniform = draws(len(labels), samples_of(labels), seed)
    found = mine(miner, distances, labels, 2.0, uniform)
    assert found == by_the_rule(miner, distances, labels, 2.0, uniform)


@every_miner
@settings(deadline=None, max_examples=10)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_a_triplet_has_a_true_positive_and_a_true_negative(
    miner: MinerName, labels: list[int], seed: int
) -> None:
    distances = random_distances(len(labels), seed)
    triplets = mine_tensors(miner, distances, labels)
    found = listed(triplets, distances)
    for anchor, positive, negative in found:
        assert labels[positive] == labels[anchor]
        assert positive != anchor
        assert labels[negative] != labels[anchor]
    assert len(found) <= int(triplets.num_candidates)


@every_miner
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["one class", "all singletons"])
def test_an_anchor_without_positive_or_negative_is_dropped(
    miner: MinerName, labels: list[int]
) -> None:
    distances = random_distances(3, 0)
    triplets = mine_tensors(miner, distances, labels)
    assert listed(triplets, distances) == []
    assert int(triplets.num_candidates) == 0


@every_miner
def test_no_gradient_flows_through_the_choice(miner: MinerName) -> None:
    distances = random_distances(6, 0).requires_grad_()
    triplets = mine_tensors(miner, distances, [0, 0, 0, 1, 1, 1])
    assert not triplets.is_kept.requires_grad
    assert not triplets.is_negative.requires_grad


# Anchor 0 on a line: positives at 1 and 3, negatives at 0.5, 1.1, 3.05 and 9.
LINE = [0.0, 1.0, 3.0, 0.5, 1.1, 3.05, 9.0]
LINE_LABELS = [0, 0, 0, 1, 2, 3, 4]

FIRST, LAST = 0.0, 0.999
"""Random numbers that draw the first and the last of the candidates."""

# What anchor 0 gives: margin 0.2, and the random numbers of its two slots and of itself.
ON_THE_LINE: dict[tuple[MinerName, float, tuple[float, float, float]], list[tuple[int, int]]] = {
    ("none", 0.2, (FIRST, FIRST, FIRST)): [(p, n) for p in (1, 2) for n in (3, 4, 5, 6)],
    ("all", 0.2, (FIRST, FIRST, FIRST)): [(p, n) for p in (1, 2) for n in (3, 4, 5, 6)],
    ("hard", 0.2, (FIRST, FIRST, FIRST)): [(1, 3), (2, 3), (2, 4)],
    ("semi_hard", 0.2, (FIRST, FIRST, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard", 0.01, (FIRST, FIRST, FIRST)): [],
    ("easy", 0.2, (FIRST, FIRST, FIRST)): [(1, 5), (1, 6), (2, 6)],
    ("easy", 0.0, (FIRST, FIRST, FIRST)): [(1, 4), (1, 5), (1, 6), (2, 5), (2, 6)],
    ("batch_hard", 0.2, (FIRST, FIRST, FIRST)): [(2, 3)],
    ("batch_easy", 0.2, (FIRST, FIRST, FIRST)): [(1, 6)],
    ("easy_positive_hard", 0.2, (FIRST, FIRST, FIRST)): [(1, 3)],
    ("easy_positive_semi_hard", 0.2, (FIRST, FIRST, FIRST)): [(1, 4)],
    ("semi_hard_or_hardest", 0.2, (FIRST, FIRST, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard_or_hardest", 0.07, (FIRST, FIRST, FIRST)): [(1, 3), (2, 5)],
    ("semi_hard_random", 0.2, (LAST, LAST, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard_random", 2.1, (FIRST, LAST, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard_random", 2.1, (LAST, LAST, FIRST)): [(1, 5), (2, 5)],
    ("semi_hard_random", 0.07, (FIRST, FIRST, FIRST)): [(2, 5)],
    ("semi_hard_random_or_any", 0.2, (LAST, LAST, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard_random_or_any", 0.07, (LAST, FIRST, FIRST)): [(1, 6), (2, 5)],
    ("semi_hard_random_or_any", 0.01, (0.3, 0.6, FIRST)): [(1, 4), (2, 5)],
    ("semi_hard_nearest_or_farthest", 0.2, (FIRST, FIRST, FIRST)): [(1, 4), (2, 5)],
    ("distance_weighted", 0.2, (FIRST, LAST, FIRST)): [(1, 3), (2, 4)],
    ("random", 0.2, (LAST, FIRST, FIRST)): [(1, 6)],
    ("random", 0.2, (0.3, FIRST, LAST)): [(2, 4)],
    ("random_positive_hard", 0.2, (LAST, LAST, FIRST)): [(1, 3)],
    ("random_positive_hard", 0.2, (LAST, LAST, LAST)): [(2, 3)],
    ("random_positive_semi_hard", 2.1, (FIRST, LAST, FIRST)): [(1, 4)],
    ("random_positive_semi_hard", 2.1, (LAST, FIRST, FIRST)): [(1, 5)],
    ("random_positive_semi_hard", 0.01, (LAST, FIRST, FIRST)): [(1, 6)],
    ("random_positive_semi_hard", 0.01, (0.3, FIRST, LAST)): [(2, 4)],
    ("mixed", 0.2, (LAST, LAST, FIRST)): [(1, 4)],
    ("mixed", 0.2, (FIRST, FIRST, LAST)): [(2, 5)],
}


def of_the_first_anchor(
    miner: MinerName, margin: float = 0.2, numbers: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> list[Triple]:
    uniform = torch.tensor([numbers] * len(LINE_LABELS))
    found = mine(miner, on_a_line(LINE), LINE_LABELS, margin, uniform)
    return [triple for triple in found if triple[0] == 0]


@pytest.mark.parametrize(("miner", "margin", "numbers"), ON_THE_LINE)
def test_a_miner_keeps_these_on_the_line(
    miner: MinerName, margin: float, numbers: tuple[float, float, float]
) -> None:
    expected = [(0, p, n) for p, n in ON_THE_LINE[miner, margin, numbers]]
    assert of_the_first_anchor(miner, margin, numbers) == expected
    uniform = torch.tensor([numbers] * len(LINE_LABELS))
    rule = by_the_rule(miner, on_a_line(LINE), LINE_LABELS, margin, uniform)
    assert [triple for triple in rule if triple[0] == 0] == expected


def test_every_miner_of_triplets_is_on_the_line() -> None:
    assert {miner for miner, _, _ in ON_THE_LINE} == set(MINERS)


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
    anchors = {t[0] for t in mine("easy_positive_semi_hard", on_a_line([0, 2, 1]), [0, 0, 1])}
    assert anchors == set()


def test_semi_hard_nearest_or_farthest_takes_the_farthest_where_none_is_farther() -> None:
    distances = on_a_line([0.0, 5.0, 1.0, 3.0])
    found = mine("semi_hard_nearest_or_farthest", distances, [0, 0, 1, 2])
    assert found == [(0, 1, 3), (1, 0, 2)]


def test_mixed_looks_for_the_negative_from_the_positive() -> None:
    distances = on_a_line([0.0, 5.0, 1.0, 6.0])
    assert mine("mixed", distances, [0, 0, 1, 2]) == [(0, 1, 3), (1, 0, 2)]


def test_a_random_positive_and_negative_are_each_drawn_as_often() -> None:
    num_draws = 2000
    distances = on_a_line(LINE)
    found = [
        triple[1:]
        for seed in range(num_draws // 10)
        for triple in mine("random", distances, LINE_LABELS, 0.2, draws(7, 3, seed))
    ]
    # Anchors 0, 1 and 2 have two positives each, and the negatives 3 to 6.
    for item, share in [(0, 1 / 3), (1, 1 / 3), (2, 1 / 3)]:
        times = sum(positive == item for positive, _ in found)
        assert times / len(found) == pytest.approx(share, abs=0.08)
    for item in (3, 4, 5, 6):
        times = sum(negative == item for _, negative in found)
        assert times / len(found) == pytest.approx(1 / 4, abs=0.08)


@pytest.mark.parametrize("miner", ["semi_hard_random", "semi_hard_random_or_any"])
def test_a_random_semi_hard_negative_is_drawn_evenly_from_the_band(miner: MinerName) -> None:
    # Positive at 1; in the band of 1 the negatives 1.2, 1.5 and 1.8, beyond it 2.5.
    distances = on_a_line([0.0, 1.0, 1.2, 1.5, 1.8, 2.5, 0.7])
    labels = [0, 0, 1, 2, 3, 4, 5]
    found = []
    for seed in range(300):
        triplets = mine(miner, distances, labels, 1.0, draws(7, 2, seed))
        found += [n for a, _, n in triplets if a == 0]
    assert set(found) == {2, 3, 4}
    for item in (2, 3, 4):
        assert found.count(item) / 300 == pytest.approx(1 / 3, abs=0.11)


def test_the_multi_similarity_miner_keeps_the_pairs_near_the_other_kind() -> None:
    # Anchor 0: positives of cosine 0.9 and 0.6, negatives of cosine 0.7 and 0.3.
    angles = torch.arccos(torch.tensor([1.0, 0.9, 0.6, 0.7, 0.3]))
    embeddings = torch.stack([angles.cos(), angles.sin()], 1)
    labels, uniform = [0, 0, 0, 1, 2], torch.zeros(5, 3)
    setting = Setting("multi_similarity", BatchConfig(classes=3, samples=3), 2, epsilon=0.15)
    pairs = setting.mine_pairs(torch.zeros(5, 5), items_of(labels, uniform, embeddings))
    positives, negatives = listed_pairs(pairs)
    assert [pair for pair in positives if pair[0] == 0] == [(0, 2)]  # 0.6 - 0.15 < 0.7
    assert [pair for pair in negatives if pair[0] == 0] == [(0, 3)]  # 0.7 + 0.15 > 0.6


@settings(deadline=None, max_examples=25)
@given(labels=LABELS, seed=st.integers(0, 99), epsilon=st.sampled_from([0.0, 0.1, 2.0]))
def test_the_multi_similarity_miner_keeps_what_its_rule_says(
    labels: list[int], seed: int, epsilon: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(labels), DIM, generator=generator, dtype=torch.float64)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    samples = samples_of(labels)
    batch = BatchConfig(classes=2, samples=samples)
    setting = Setting("multi_similarity", batch, DIM, epsilon=epsilon)
    # The distances are those of the loss: the miner goes by the cosines all the same.
    pairs = setting.mine_pairs(
        torch.zeros(len(labels), len(labels)),
        items_of(labels, draws(len(labels), samples), embeddings),
    )
    expected = mined_pairs_by_similarity((unit @ unit.T).tolist(), labels, epsilon)
    assert listed_pairs(pairs) == expected


def test_distance_weighted_draws_as_often_as_one_over_the_density() -> None:
    num_items, dim, num_draws = 8, 16, 40_000
    labels = [0, 0, 1, 1, 1, 1, 1, 1]
    distances = torch.full((num_items, num_items), 1.0, dtype=torch.float64)
    distances[0] = torch.tensor([0.0, 0.1, 0.3, 0.7, 0.9, 1.1, 1.39, 1.41])
    # 1 / q(d) = d^(2 - n) (1 - d^2 / 4)^((3 - n) / 2), floor 0.5, nothing from 1.4 on
    expected = torch.zeros(num_items, dtype=torch.float64)
    for j in range(2, 7):
        d = max(0.5, float(distances[0, j]))
        expected[j] = d ** (2 - dim) * (1 - d**2 / 4) ** ((3 - dim) / 2)
    expected /= expected.sum()
    batch = BatchConfig(classes=2, samples=num_draws + 1)
    setting = Setting("distance_weighted", batch, dim)
    triplets = setting.mine_triplets(distances, items_of(labels, draws(num_items, num_draws + 1)))
    assert triplets.negative_index is not None
    drawn = triplets.negative_index[0].bincount(minlength=num_items) / num_draws
    torch.testing.assert_close(drawn.double(), expected, atol=4 * 0.5 / num_draws**0.5, rtol=0)
    assert drawn[expected == 0].count_nonzero() == 0


def test_distance_weighted_drops_an_anchor_with_only_far_negatives() -> None:
    distances = torch.tensor([[0.0, 0.3, 1.5], [0.3, 0.0, 0.8], [1.5, 0.8, 0.0]])
    triplets = mine_tensors("distance_weighted", distances, [0, 0, 1])
    assert listed(triplets, distances) == [(1, 0, 2)]
    assert int(triplets.num_candidates) == 2


@every_miner
def test_a_choice_repeats_with_its_random_numbers(miner: MinerName) -> None:
    distances, labels = random_distances(9, 1), [0, 0, 0, 1, 1, 1, 2, 2, 2]
    first, second = (mine(miner, distances, labels) for _ in range(2))
    assert first == second != []


def test_log_density_is_the_log_of_the_formula_and_finite_in_high_dimensions() -> None:
    d, n = 0.8, 5
    formula = math.log(d ** (n - 2) * (1 - d * d / 4) ** ((n - 3) / 2))
    found = log_density(torch.tensor(d, dtype=torch.float64), n)
    assert float(found) == pytest.approx(formula, rel=1e-12)
    assert log_density(torch.tensor([0.0, 0.5, 2.0]), 4096).isfinite().all()


def test_distance_weighted_is_finite_in_high_dimensions() -> None:
    distances = torch.tensor(
        [[0.0, 0.2, 0.51, 1.39], [0.2, 0.0, 0.4, 1.3], [0.51, 0.4, 0.0, 1.3], [1.39, 1.3, 1.3, 0]]
    )
    uniform = torch.full((4, 2), 0.9)
    triplets = mine_tensors("distance_weighted", distances, [0, 0, 1, 1], 0.2, uniform, dim=4096)
    assert listed(triplets, distances)[:2] == [(0, 1, 2), (1, 0, 2)]


RULES: tuple[MinerName, ...] = ("none", "all", "hard", "semi_hard", "easy")
"""Miners that keep every triplet of a kind, many for one positive."""


@pytest.mark.parametrize("miner", sorted(set(MINERS) - set(RULES)))
@settings(deadline=None, max_examples=10)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_pairs_are_those_that_the_triplets_are_made_of(
    miner: MinerName, labels: list[int], seed: int
) -> None:
    distances = random_distances(len(labels), seed)
    triplets = mine_tensors(miner, distances, labels)
    positives, negatives = listed_pairs(triplets.to_pairs())
    kept = listed(triplets, distances)
    assert sorted(positives) == sorted({(a, p) for a, p, _ in kept})
    assert negatives == sorted({(a, n) for a, _, n in kept})


@pytest.mark.parametrize("miner", RULES)
def test_pairs_of_a_rule_of_triplets_are_refused(miner: MinerName) -> None:
    triplets = mine_tensors(miner, on_a_line(LINE), LINE_LABELS)
    with pytest.raises(ValueError, match="must come from a miner that chooses one negative"):
        triplets.to_pairs()
