"""Fair shares: every family of recipes gets the same device-seconds, then the good ones more.

A sampler soon leaves a family that began badly, and a loss with a delicate range then looks worse
than it is. Here each is heard out first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..spaces import Choice, Distribution, Recipe, Space, SpaceError, Value
from .labels import is_ranked
from .records import TrialRecord

DRAWS = 8
"""Recipes of an option that must agree on the value, so that the option decides it."""

EQUAL_SHARE = 0.5
"""Of the trials, those that go to whichever family has had the least."""


@dataclass(frozen=True)
class Families:
    """The values of one key of the recipe, each with what leads to it.

    Attributes:
        path: Dotted, of the recipe.
        parameter: The choice that decides the value.
        options: Of that choice, by value.
    """

    path: str
    parameter: str
    options: Mapping[Value, Sequence[Value]]

    @classmethod
    def of(cls, space: Space, path: str) -> "Families":
        """The families of a space.

        Args:
            space: What may be tried.
            path: Of the recipe, such as `objective.loss.name`.

        Raises:
            ValueError: If no choice decides the value there.
        """
        decided = []
        for parameter in space.parameters():
            if isinstance(parameter.distribution, Choice) and not parameter.conditions:
                options = _options(space, parameter.name, parameter.distribution, path)
                if len(options) > 1:
                    return cls(path, parameter.name, options)
                decided.append(parameter.name)
        raise ValueError(
            "--stratify must name a key of the recipe that one choice of the space decides, such "
            f"as objective.loss.name, got {path}; choices are {', '.join(decided) or 'none'}"
        )

    def next(self, records: Sequence[TrialRecord], num_trials: int) -> Mapping[str, Value]:
        """What is given of the next recipe.

        The first half of the trials go to the family that has had the fewest device-seconds. From
        then on each shall have had half as many as the family whose best score is next above its
        own, and the next trial goes to the one that is furthest below its share. A trial that has
        not reported yet counts with the mean of those that have.

        Args:
            records: Of the study.
            num_trials: That it shall have.
        """
        spent = self._spent(records)
        weights = dict.fromkeys(self.options, 1.0)
        if len(records) >= EQUAL_SHARE * num_trials:
            best = {family: _best(self._of(records, family)) for family in self.options}
            ranked = sorted(self.options, key=lambda family: -best[family])
            weights = {family: 0.5**rank for rank, family in enumerate(ranked)}
        family = min(self.options, key=lambda family: spent[family] / weights[family])
        options = self.options[family]
        return {self.parameter: options[len(records) % len(options)]}

    def _spent(self, records: Sequence[TrialRecord]) -> dict[Value, float]:
        """Device-seconds of each family, those that it will have spent at the least included."""
        known = [record.seconds for record in records if record.seconds > 0.0]
        mean = float(np.mean(known)) if known else 1.0
        spent = dict.fromkeys(self.options, 0.0)
        for record in records:
            family = value_at(record.recipe, self.path)
            if family in spent:
                is_new = record.state == "running" and record.seconds == 0.0
                spent[family] += mean if is_new else record.seconds
        return spent

    def _of(self, records: Sequence[TrialRecord], family: Value) -> list[TrialRecord]:
        return [one for one in records if value_at(one.recipe, self.path) == family]


def value_at(recipe: Recipe, path: str) -> Value:
    """The value of a recipe at a dotted path; None where its branch has none."""
    node: object = recipe
    for key in path.split("."):
        node = getattr(node, key, None)
    return node if isinstance(node, bool | int | float | str) else None


def _options(space: Space, name: str, choice: Choice, path: str) -> dict[Value, list[Value]]:
    """Options of a choice by the value that they lead to; empty if one leads to several."""
    options: dict[Value, list[Value]] = {}
    for option in choice.values:
        found = set()
        for draw in range(DRAWS):
            random = np.random.default_rng(draw)

            def choose(asked: str, distribution: Distribution, option: Value = option) -> Value:
                if asked == name:
                    return option
                corners = distribution.corners
                return corners[int(random.integers(len(corners)))]  # noqa: B023  # called at once

            try:
                found.add(value_at(space.build(choose), path))
            except SpaceError:
                continue
        if len(found) != 1 or None in found:
            return {}
        options.setdefault(found.pop(), []).append(option)
    return options


def _best(records: Sequence[TrialRecord]) -> float:
    """The best score of a family; below all others where it has none."""
    scores = [
        record.last_report.one_shot_accuracy
        for record in records
        if record.last_report is not None and is_ranked(record)
    ]
    return max(scores, default=-1.0)
