"""Intervals, paired differences and ranks against scipy and against cases worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from tripletune.search.statistics import (
    crossed_p_values,
    expected_optimism,
    holm,
    over_both,
    over_episodes,
    over_seeds,
    paired_difference,
    paired_p_values,
    shared_ranks,
)


@pytest.fixture
def scores() -> np.ndarray:
    """Four models on 200 episodes of shared difficulty; the last is the first again."""
    random = np.random.default_rng(0)
    difficulty = random.normal(0.8, 0.1, 200)
    table = difficulty + random.normal([[0.0], [0.0], [0.05]], 0.03, (3, 200))
    return np.concatenate([table, table[:1]])


def test_interval_over_episodes_is_students(scores: np.ndarray) -> None:
    interval = over_episodes(scores[0])
    expected = stats.t.interval(0.95, 199, scores[0].mean(), stats.sem(scores[0]))

    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.mean == scores[0].mean()


def test_interval_over_seeds_is_students_over_their_means(scores: np.ndarray) -> None:
    means = scores.mean(axis=1)
    expected = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))

    interval = over_seeds(scores)

    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.over == "seeds"


def test_interval_over_both_is_the_widest_and_holds_the_same_mean(scores: np.ndarray) -> None:
    both, seeds, episodes = over_both(scores), over_seeds(scores), over_episodes(scores)

    assert both.mean == pytest.approx(seeds.mean) == pytest.approx(episodes.mean)
    assert both.low <= episodes.low < episodes.high <= both.high
    assert both.low <= seeds.low < seeds.high <= both.high


def test_seeds_that_agree_leave_the_interval_over_episodes(scores: np.ndarray) -> None:
    same = np.repeat(scores[:1], 5, axis=0)

    assert over_both(same).low == pytest.approx(over_episodes(same).low)
    assert over_seeds(same).low == over_seeds(same).high == pytest.approx(same.mean())


def test_one_seed_says_nothing_of_another(scores: np.ndarray) -> None:
    for interval in (over_seeds(scores[:1]), over_both(scores[:1])):
        assert math.isinf(interval.low)
        assert interval.to_json() is None
        assert interval.mean == scores[0].mean()


def test_interval_stays_an_accuracy() -> None:
    interval = over_episodes([1.0] * 9 + [0.9])

    assert interval.high == 1.0
    assert interval.low < 0.99


def test_every_pair_is_scipys_paired_t(scores: np.ndarray) -> None:
    p = paired_p_values(scores)

    for first in range(3):
        for second in range(first + 1, 3):
            expected = stats.ttest_rel(scores[first], scores[second]).pvalue
            assert p[first, second] == p[second, first] == pytest.approx(expected, rel=1e-6)
    assert p[0, 3] == 1.0  # the same on every episode
    assert np.diag(p).tolist() == [1.0] * 4


def test_difference_that_never_varies_is_sure() -> None:
    assert paired_p_values([[0.5, 0.6, 0.7], [0.4, 0.5, 0.6]])[0, 1] == 0.0


def test_paired_difference_has_scipys_interval(scores: np.ndarray) -> None:
    difference = paired_difference(scores[2], scores[0])
    expected = stats.ttest_rel(scores[2], scores[0])
    interval = expected.confidence_interval(0.95)

    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))
    assert difference.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert difference.high - difference.low < 0.5 * (
        over_episodes(scores[2]).high - over_episodes(scores[2]).low
    )


def test_difference_of_other_episodes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"episodes of first, got \(2,\) and \(3,\)"):
        paired_difference([0.1, 0.2, 0.3], [0.1, 0.2])


def test_two_seeds_that_are_alike_by_luck_are_not_believed() -> None:
    random = np.random.default_rng(3)
    seeds = np.array([[0.80], [0.85]]), np.array([[0.68], [0.73]])  # the same gap, by luck
    tables = [mean + random.normal(0, 0.05, (2, 200)) for mean in seeds]

    assert crossed_p_values(tables)[0, 1] > 0.05


def test_configurations_far_apart_over_five_seeds_are_told_apart() -> None:
    random = np.random.default_rng(4)
    tables = [
        mean + random.normal(0, 0.01, (5, 1)) + random.normal(0, 0.05, (5, 200))
        for mean in (0.9, 0.7)
    ]

    assert crossed_p_values(tables)[0, 1] < 1e-4
    assert crossed_p_values([tables[0], tables[0][:1]])[0, 1] == 1.0


def test_holm_corrects_each_by_those_that_are_left() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 again and 0.04 x 1 raised to it.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def table(better: dict[tuple[int, int], float], rows: int) -> np.ndarray:
    p = np.ones((rows, rows))
    for (first, second), value in better.items():
        p[first, second] = p[second, first] = value
    return p


def test_rows_that_cannot_be_told_apart_share_a_rank() -> None:
    sure = {(0, 2): 1e-6, (1, 2): 1e-6}

    assert shared_ranks([0.8, 0.79, 0.5], table(sure, 3)).tolist() == [1, 1, 3]
    assert shared_ranks([0.5, 0.8, 0.79], table({(1, 0): 0.0, (2, 0): 0.0}, 3)).tolist() == [
        3,
        1,
        1,
    ]


def test_a_chain_of_small_steps_counts_the_rows_that_are_surely_better() -> None:
    # Neighbours cannot be told apart, the ends can.
    assert shared_ranks([0.8, 0.7, 0.6], table({(0, 2): 1e-6}, 3)).tolist() == [1, 1, 2]


def test_differences_that_are_sure_only_one_by_one_are_not_sure_together() -> None:
    assert shared_ranks([0.8, 0.7, 0.6], table({(0, 2): 0.03}, 3)).tolist() == [1, 1, 1]


def test_a_noisier_row_is_not_ranked_behind_the_row_below_it() -> None:
    # The best is surely better than the second, but not than the third, whose score is noisy.
    assert shared_ranks([0.8, 0.7, 0.69], table({(0, 1): 1e-6}, 3)).tolist() == [1, 1, 1]


def test_all_told_apart_is_the_order() -> None:
    means = np.array([0.2, 0.9, 0.5])

    assert shared_ranks(means, np.zeros((3, 3))).tolist() == [3, 1, 2]
    assert shared_ranks([0.5], np.ones((1, 1))).tolist() == [1]


def test_best_of_one_is_no_luck_and_a_clear_best_hardly_any(scores: np.ndarray) -> None:
    assert expected_optimism(scores[:1]) == 0.0
    clear = np.concatenate([scores[:3], scores[:1] + 0.5])
    assert expected_optimism(clear) == pytest.approx(0.0, abs=1e-4)
    assert expected_optimism(np.repeat(scores[:1], 3, axis=0)) == pytest.approx(0.0, abs=1e-9)


def test_optimism_is_the_same_every_time(scores: np.ndarray) -> None:
    assert expected_optimism(scores) == expected_optimism(scores)
