"""Which recipes of a space are checked when it is read.

A rule of the recipe can be broken by a few values together, and a space has more recipes than
can be tried. What is checked is bounded so:

- Every value stands for itself by its corners: both ends of a range, all values of a choice, all
  labels of a `one_of`.
- Every corner of every parameter is checked.
- Within a section of the recipe, every combination of corners is checked where there are at most
  `MAX_PRODUCT`; beyond that, every pair of parameters.
- Across sections, every pair of parameters is checked at every pair of corners.

All other parameters then stand at their first corner. A rule that joins three values of different
sections can escape; `Space.build` refuses such a recipe when it is drawn.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, islice, product

from .distributions import Distribution
from .sections import ONE_OF, Choose, Parameter, Section, only, parameters, resolve
from .source import Value

MAX_PRODUCT = 1000
"""Combinations of corners of one section that are all checked."""

Choices = Mapping[str, Value]


def corner_choices(root: Section) -> Iterator[Choices]:
    """What each checked recipe chooses, by parameter name; what is not named: the first corner."""
    yield {}
    everything = list(parameters(root))
    for parameter in everything:
        for corner in parameter.distribution.corners:
            yield {**dict(parameter.conditions), parameter.name: corner}
    sections = [key for key in dict.fromkeys(_keys(root)) if any(parameters(only(root, key)))]
    pairwise = []
    for key in sections:
        subtree = only(root, key)
        found = list(islice(every_choice(subtree), MAX_PRODUCT + 1))
        if len(found) <= MAX_PRODUCT:
            yield from found
        else:
            pairwise.append(key)
    home = {parameter.name: key for key in sections for parameter in parameters(only(root, key))}
    for first, second in combinations(everything, 2):
        is_within = home.get(first.name) == home.get(second.name)
        if not is_within or home.get(first.name) in pairwise:
            yield from _pair(first, second)


def every_choice(root: Section) -> Iterator[Choices]:
    """Every combination of corners of the tree, without repetition, define by run."""
    waiting: list[tuple[Value, ...]] = [()]
    while waiting:
        prefix = waiting.pop()
        chosen: dict[str, Value] = {}
        resolve(root, _replay(prefix, chosen, waiting))
        yield chosen


def chooser(choices: Choices) -> Choose:
    """Chooses what is named, and the first corner of everything else."""

    def choose(name: str, distribution: Distribution) -> Value:
        return choices[name] if name in choices else distribution.corners[0]

    return choose


def _replay(
    prefix: tuple[Value, ...],
    chosen: dict[str, Value],
    waiting: list[tuple[Value, ...]],
) -> Callable[[str, Distribution], Value]:
    """Chooses the prefix, then first corners, and leaves the other corners waiting."""

    def choose(name: str, distribution: Distribution) -> Value:
        place = len(chosen)
        if place < len(prefix):
            value = prefix[place]
        else:
            value, *others = distribution.corners
            before = tuple(chosen.values())
            waiting.extend((*before, other) for other in reversed(others))
        chosen[name] = value
        return value

    return choose


def _pair(first: Parameter, second: Parameter) -> Iterator[Choices]:
    conditions: dict[str, Value] = {}
    for name, label in (*first.conditions, *second.conditions):
        if conditions.setdefault(name, label) != label:
            return  # never active together
    for one, other in product(first.distribution.corners, second.distribution.corners):
        choices = {first.name: one, second.name: other}
        if all(choices.get(name, label) == label for name, label in conditions.items()):
            yield {**conditions, **choices}


def _keys(root: Section) -> Iterator[str]:
    """The keys of the recipe that the tree gives values to, under any choice."""
    yield from (key for key, _ in root.entries if key != ONE_OF)
    for _, branch in root.branches:
        yield from _keys(branch)
