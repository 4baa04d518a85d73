"""Over 500 simulated studies whose truth is known, what is said with 95 % certainty is true."""

from collections.abc import Callable

import numpy as np
import pytest
from simulated import Simulated, simulate

from tripletune.search.statistics import (
    Interval,
    crossed_p_values,
    expected_optimism,
    over_both,
    over_episodes,
    over_seeds,
    paired_p_values,
    shared_ranks,
)

STUDIES = 500
LEAST = 0.93

LEVELS = {
    "all equal": [1.5] * 8,
    "close": list(np.linspace(1.2, 1.5, 8)),
    "spread": [-1.0, 0.0, 0.6, 0.9, 1.2, 1.4, 1.5, 1.5],
    "near perfect": [3.0] * 8,
}


@pytest.fixture(scope="module", params=list(LEVELS), ids=lambda name: name.replace(" ", "-"))
def studies(request: pytest.FixtureRequest) -> Simulated:
    return simulate(LEVELS[request.param], studies=STUDIES)


def coverage(
    interval: Callable[[np.ndarray], Interval], scores: np.ndarray, truth: np.ndarray
) -> float:
    """How often the interval of a row of scores holds the truth; `truth` has one a row."""
    rows = scores.reshape(truth.size, *scores.shape[truth.ndim :])
    intervals = map(interval, rows)
    return float(
        np.mean([i.low <= true <= i.high for i, true in zip(intervals, truth.flat, strict=True)])
    )


def test_interval_over_episodes_covers_the_trained_weights(studies: Simulated) -> None:
    of_search, of_fresh = studies.seeds

    assert coverage(over_episodes, studies.searched, of_search) >= LEAST
    assert coverage(over_episodes, studies.confirmed, of_fresh.mean(axis=-1)) >= LEAST


def test_interval_over_seeds_covers_the_configuration_on_these_episodes(
    studies: Simulated,
) -> None:
    assert coverage(over_seeds, studies.confirmed, studies.on_these_episodes) >= LEAST


def test_interval_over_both_covers_the_configuration(studies: Simulated) -> None:
    truth = np.broadcast_to(studies.configurations, studies.on_these_episodes.shape)

    assert coverage(over_both, studies.confirmed, truth) >= LEAST


def false_ranks(scores: np.ndarray, truth: np.ndarray) -> float:
    """Share of the studies in which any row has fewer better ones than its rank says."""
    wrong = 0
    for table, true in zip(scores, truth, strict=True):
        ranks = shared_ranks(table.mean(axis=1), paired_p_values(table))
        num_better = (true[None, :] > true[:, None]).sum(axis=1)
        wrong += bool((ranks > 1 + num_better).any())
    return wrong / len(scores)


def test_ranks_hold_together(studies: Simulated) -> None:
    assert false_ranks(studies.searched, studies.seeds[0]) <= 1 - LEAST


def test_ranks_hold_where_all_are_truly_equal() -> None:
    equal = simulate([1.5] * 8, studies=STUDIES, seed_sd=0.0)

    assert false_ranks(equal.searched, equal.seeds[0]) <= 1 - LEAST


def test_ranks_tell_apart_what_is_far_apart() -> None:
    far = simulate([0.0, 1.0, 2.0], studies=50)
    for table in far.searched:
        ranks = shared_ranks(table.mean(axis=1), paired_p_values(table))
        assert ranks.tolist() == [3, 2, 1]


def test_ranks_of_confirmed_configurations_hold_together(studies: Simulated) -> None:
    true = studies.configurations
    num_better = (true[None, :] > true[:, None] + 1e-9).sum(axis=1)
    wrong = 0
    for tables in studies.confirmed[:100]:
        ranks = shared_ranks(tables.mean(axis=(1, 2)), crossed_p_values(list(tables)))
        wrong += bool((ranks > 1 + num_better).any())
    assert wrong / 100 <= 1 - LEAST


def best(studies: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """Index of each study's best trial, twice, to pick one trial a study."""
    return np.arange(STUDIES), studies.searched.mean(axis=2).argmax(axis=1)


def test_interval_over_both_covers_the_configuration_that_was_selected(
    studies: Simulated,
) -> None:
    chosen = best(studies)

    assert coverage(over_both, studies.confirmed[chosen], studies.configurations[chosen[1]]) >= (
        LEAST
    )


def test_confirmed_score_has_under_a_quarter_of_the_bias_of_the_selected(
    studies: Simulated,
) -> None:
    chosen = best(studies)
    truth = studies.configurations[chosen[1]]

    selected = float((studies.searched[chosen].mean(axis=-1) - truth).mean())
    confirmed = float((studies.confirmed[chosen].mean(axis=(-2, -1)) - truth).mean())

    assert selected > 0.005
    assert abs(confirmed) < selected / 4


def test_expected_optimism_is_what_the_best_loses_on_fresh_episodes(studies: Simulated) -> None:
    chosen = best(studies)
    lost = studies.searched[chosen].mean(axis=-1) - studies.seeds[0][chosen]

    expected = float(np.mean([expected_optimism(table) for table in studies.searched[:200]]))

    assert expected == pytest.approx(float(lost.mean()), rel=0.35)
