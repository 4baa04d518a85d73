import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripletune.spaces import Choice, Distribution, Int, LogUniform, Uniform
from tripletune.spaces.distributions import read_distribution
from tripletune.spaces.source import Plain

FINITE = st.floats(allow_nan=False, allow_infinity=False)
RANGES = st.tuples(FINITE, FINITE).filter(lambda pair: pair[0] < pair[1])
INTS = st.builds(
    lambda low, steps, step: Int(low, low + steps * step, step),
    st.integers(-1000, 1000),
    st.integers(1, 50),
    st.integers(1, 50),
)
CHOICES = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(), FINITE, st.text()), min_size=1, unique=True
).map(lambda values: Choice(tuple(values)))
ANY = st.one_of(
    RANGES.map(lambda pair: Uniform(*pair)),
    RANGES.filter(lambda pair: pair[0] > 0).map(lambda pair: LogUniform(*pair)),
    INTS,
    CHOICES,
)


@settings(deadline=None, max_examples=50)
@given(ANY)
def test_a_distribution_reads_back_from_what_it_writes(distribution: Distribution) -> None:
    assert read_distribution(distribution.to_plain()) == distribution


@settings(deadline=None, max_examples=50)
@given(ANY)
def test_a_distribution_contains_its_corners(distribution: Distribution) -> None:
    assert all(distribution.contains(corner) for corner in distribution.corners)


@settings(deadline=None, max_examples=50)
@given(ANY)
def test_a_distribution_contains_its_middle(distribution: Distribution) -> None:
    assert distribution.contains(distribution.middle)


def test_a_value_outside_or_of_another_kind_is_not_contained() -> None:
    assert not Uniform(0.0, 1.0).contains(1.1)
    assert not Uniform(0.0, 1.0).contains(True)
    assert not LogUniform(0.1, 1.0).contains("0.5")
    assert not Int(2, 8, 2).contains(3)
    assert not Int(2, 8, 2).contains(4.0)
    assert not Choice((1, 2)).contains(True)


def test_a_rounding_error_beyond_an_end_is_contained() -> None:
    assert LogUniform(1e-4, 0.3).contains(math.nextafter(0.3, 1.0))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"uniform": [1, 0]}, "low must be < high, got low=1.0, high=0.0; swap them"),
        ({"uniform": [1, 1]}, "low must be < high, got low=1.0, high=1.0"),
        ({"uniform": [0, math.inf]}, "bounds must be finite, got low=0.0, high=inf"),
        ({"uniform": [0.1]}, "must be two bounds, got {uniform: [0.1]}; write {uniform: [low"),
        ({"uniform": ["0.1", 1]}, "bounds must be numbers, got '0.1'; write them without quotes"),
        ({"uniform": [True, 2]}, "bounds must be numbers, got true"),
        ({"log_uniform": [0, 1]}, "low must be > 0 on a logarithmic scale, got low=0.0"),
        ({"int": [1, 4.0]}, "bounds and step must be whole numbers, got 4.0"),
        ({"int": [1, 9], "step": 3}, "got low=1, high=9, step=3; write high=7"),
        ({"int": [1, 9], "step": 0}, "step must be >= 1, got step=0"),
        ({"uniform": [0, 1], "step": 2}, "must hold nothing beside uniform"),
        ({"uniform": [0, 1], "choice": [2]}, "must hold nothing beside uniform"),
        ({"choice": []}, "must list at least one value, got []"),
        ({"choice": "a"}, "must be a list of values, got {choice: a}"),
        ({"choice": ["a", "b", "a"]}, "must list each value once, got 'a' twice"),
        ({"choice": [1, 1.0]}, "must list each value once, got 1.0 twice"),
        ({"choice": [math.nan]}, "must list finite values, got nan"),
        ({"choice": [{"name": "all"}]}, "choose between sections with one_of"),
    ],
)
def test_a_malformed_distribution_is_refused(data: dict[str, Plain], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_distribution(data)
