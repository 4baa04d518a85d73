"""What a value of a space may be drawn from: four distributions, as frozen records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .source import Plain, Value, show


@dataclass(frozen=True)
class Uniform:
    """Real numbers of [low, high], all alike; written `{uniform: [low, high]}`.

    Raises:
        ValueError: If a bound is not finite, or low >= high.
    """

    KEY: ClassVar[str] = "uniform"

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values that are checked when a space is read: both ends."""
        return self.low, self.high

    @property
    def middle(self) -> Value:
        """The value that a search tries first: halfway."""
        return self.low / 2 + self.high / 2  # the sum may overflow

    def contains(self, value: Value) -> bool:
        """Whether the value can be drawn; a rounding error beyond an end is forgiven."""
        return _is_within(value, self.low, self.high)

    def to_plain(self) -> dict[str, Plain]:
        """As it is written in a space."""
        return {self.KEY: [self.low, self.high]}

    def __str__(self) -> str:
        return f"{show(self.low)} to {show(self.high)}"


@dataclass(frozen=True)
class LogUniform:
    """Real numbers of [low, high] whose logarithms are all alike; `{log_uniform: [low, high]}`.

    Raises:
        ValueError: If a bound is not finite or not above 0, or low >= high.
    """

    KEY: ClassVar[str] = "log_uniform"

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.low <= 0:
            raise ValueError(
                f"low must be > 0 on a logarithmic scale, got low={show(self.low)}; "
                "write a number above 0, or uniform"
            )

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values that are checked when a space is read: both ends."""
        return self.low, self.high

    @property
    def middle(self) -> Value:
        """The value that a search tries first: halfway between the logarithms."""
        return math.sqrt(self.low) * math.sqrt(self.high)  # the product may overflow

    def contains(self, value: Value) -> bool:
        """Whether the value can be drawn; a rounding error beyond an end is forgiven."""
        return _is_within(value, self.low, self.high)

    def to_plain(self) -> dict[str, Plain]:
        """As it is written in a space."""
        return {self.KEY: [self.low, self.high]}

    def __str__(self) -> str:
        return f"{show(self.low)} to {show(self.high)}, log scale"


@dataclass(frozen=True)
class Int:
    """Whole numbers low, low + step, ..., high; `{int: [low, high]}`, `{int: ..., step: s}`.

    Raises:
        ValueError: If low >= high, step < 1, or no number of steps leads from low to high.
    """

    KEY: ClassVar[str] = "int"

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.step < 1:
            raise ValueError(f"step must be >= 1, got step={self.step}; write 1 or more")
        beyond = (self.high - self.low) % self.step
        if beyond:
            raise ValueError(
                f"high must be low plus a multiple of step, got low={self.low}, "
                f"high={self.high}, step={self.step}; write high={self.high - beyond}"
            )

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values that are checked when a space is read: both ends."""
        return self.low, self.high

    @property
    def middle(self) -> Value:
        """The value that a search tries first: halfway, rounded down to a step."""
        return self.low + (self.high - self.low) // self.step // 2 * self.step

    def contains(self, value: Value) -> bool:
        """Whether the value can be drawn."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and value in range(self.low, self.high + 1, self.step)

    def to_plain(self) -> dict[str, Plain]:
        """As it is written in a space."""
        bounds: dict[str, Plain] = {self.KEY: [self.low, self.high]}
        return bounds if self.step == 1 else {**bounds, "step": self.step}

    def __str__(self) -> str:
        step = "" if self.step == 1 else f" by {self.step}"
        return f"{self.low} to {self.high}{step}, whole"


@dataclass(frozen=True)
class Choice:
    """One of the listed values; written `{choice: [a, b, ...]}`.

    Raises:
        ValueError: If there is no value, or one is listed twice.
    """

    KEY: ClassVar[str] = "choice"

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("must list at least one value, got []; write {choice: [a, b]}")
        for place, value in enumerate(self.values):
            # Equal in Python is equal to Optuna too: 1, 1.0 and true are one category there.
            if value in self.values[:place]:
                raise ValueError(
                    f"must list each value once, got {show(value)} twice; remove one of them"
                )

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values that are checked when a space is read: all."""
        return self.values

    @property
    def middle(self) -> Value:
        """The value that a search tries first: the first listed."""
        return self.values[0]

    def contains(self, value: Value) -> bool:
        """Whether the value is listed."""
        return any(value == one and type(value) is type(one) for one in self.values)

    def to_plain(self) -> dict[str, Plain]:
        """As it is written in a space."""
        return {self.KEY: list(self.values)}

    def __str__(self) -> str:
        return " | ".join(show(value, is_bare=True) for value in self.values)


Distribution = Uniform | LogUniform | Int | Choice

DISTRIBUTION_KEYS = (Uniform.KEY, LogUniform.KEY, Int.KEY, Choice.KEY)


def is_distribution(data: Plain) -> bool:
    """Whether the mapping is meant as a distribution: no section has a key of these names."""
    return isinstance(data, dict) and any(key in data for key in DISTRIBUTION_KEYS)


def read_distribution(data: Mapping[str, Plain]) -> Distribution:
    """The distribution that a space spells out.

    Args:
        data: A mapping of which `is_distribution` is true.

    Raises:
        ValueError: If it breaks a rule: "rule, got value; fix".
    """
    got = show(dict(data))
    key = next(key for key in DISTRIBUTION_KEYS if key in data)
    allowed = {key, "step"} if key == Int.KEY else {key}
    if set(data) - allowed:
        example = "{int: [1, 9], step: 2}" if key == Int.KEY else f"{{{key}: [...]}} and no more"
        raise ValueError(f"must hold nothing beside {key}, got {got}; write {example}")
    values = data[key]
    if key == Choice.KEY:
        if not isinstance(values, list):
            raise ValueError(f"must be a list of values, got {got}; write {{choice: [a, b]}}")
        return Choice(tuple(_scalar(value) for value in values))
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"must be two bounds, got {got}; write {{{key}: [low, high]}}")
    if key == Int.KEY:
        low, high, step = (_whole(value) for value in (*values, data.get("step", 1)))
        return Int(low, high, step)
    low_bound, high_bound = (_number(value) for value in values)
    return (Uniform if key == Uniform.KEY else LogUniform)(low_bound, high_bound)


def _check_bounds(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"bounds must be finite, got low={show(low)}, high={show(high)}; write two numbers"
        )
    if low >= high:
        raise ValueError(
            f"low must be < high, got low={show(low)}, high={show(high)}; "
            "swap them, or write the one value"
        )


def _is_within(value: Value, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # exp(log(high)) may pass high by a rounding error.
    slack = 1e-9 * max(abs(low), abs(high))
    return low - slack <= value <= high + slack


def _scalar(value: Plain) -> Value:
    if isinstance(value, dict | list):
        raise ValueError(
            f"must list plain values, got {show(value)}; choose between sections with one_of"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must list finite values, got {show(value)}; remove it")
    return value


def _number(value: Plain) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"bounds must be numbers, got {show(value)}; write them without quotes")
    return float(value)


def _whole(value: Plain) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(
            f"bounds and step must be whole numbers, got {show(value)}; "
            "write 8 rather than 8.0, or uniform"
        )
    return value
