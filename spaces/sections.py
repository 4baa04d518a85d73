"""A space as a tree: fixed values, searched values, and sections that may choose a branch.

A section's keys are common to all its branches. Names are dotted paths in which the label of a
branch stands where its choice is made: `objective` is the choice itself, and
`objective.triplet.loss.margin` a value that exists under one label only.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .distributions import Choice, Distribution, is_distribution, read_distribution
from .fixed import reason_if_fixed, rule_against
from .source import Plain, Problem, Source, SpaceError, Value, show

ONE_OF = "one_of"
ROOT_CHOICE = "recipe"
"""Name of the choice that a `one_of` at the top of a file makes."""

Choose = Callable[[str, Distribution], Value]
Path = tuple[str, ...]

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Fixed:
    """A value that is the same whenever its section is there."""

    name: str
    value: Plain
    line: int | None = field(compare=False)


@dataclass(frozen=True)
class Searched:
    """A value that is drawn."""

    name: str
    distribution: Distribution
    line: int | None = field(compare=False)


@dataclass(frozen=True)
class Section:
    """Keys and their nodes, and the branches of which one is chosen; branches may be none."""

    name: str
    entries: tuple[tuple[str, "SpaceNode"], ...]
    branches: tuple[tuple[str, "Section"], ...]
    line: int | None = field(compare=False)

    @property
    def labels(self) -> Choice:
        """The choice between the branches; only where there are some."""
        return Choice(tuple(label for label, _ in self.branches))

    @property
    def choice_name(self) -> str:
        """Name of the parameter that chooses the branch."""
        return self.name or ROOT_CHOICE


SpaceNode = Fixed | Searched | Section


@dataclass(frozen=True)
class Parameter:
    """Something that a trial chooses.

    Attributes:
        name: Dotted path with the labels of branches.
        distribution: What it is drawn from; for a `one_of`, the choice of its labels.
        conditions: Choices under which it exists: pairs of parameter name and label.
    """

    name: str
    distribution: Distribution
    conditions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Resolved:
    """One recipe of a space as plain data.

    Attributes:
        values: Nested mappings, as `Recipe` validates them; what is left out takes its default.
        origins: The node that gave each path of `values`.
    """

    values: dict[str, Plain]
    origins: dict[Path, SpaceNode]


def read_tree(source: Source) -> Section:
    """The tree that a file spells out.

    Raises:
        SpaceError: For a malformed distribution or `one_of`, a distribution where the value must
            be fixed, or a key that stands both beside `one_of` and in a branch.
    """
    reader = _TreeReader(source)
    root = reader.section(source.data, "", (), ())
    if reader.problems:
        raise SpaceError.of(reader.problems, source.origin)
    return root


def resolve(root: Section, choose: Choose) -> Resolved:
    """One recipe, define by run: `choose` is asked for what exists under the choices so far.

    Parameters are asked for in the order of the file, a section's own before its branch's.
    """
    resolved = Resolved({}, {})
    _resolve(root, choose, (), resolved.values, resolved.origins)
    return resolved


def parameters(root: Section, conditions: tuple[tuple[str, str], ...] = ()) -> Iterator[Parameter]:
    """Every parameter below the section, in the order in which `resolve` asks for them."""
    for _, node in root.entries:
        if isinstance(node, Searched):
            yield Parameter(node.name, node.distribution, conditions)
        elif isinstance(node, Section):
            yield from parameters(node, conditions)
    if root.branches:
        yield Parameter(root.choice_name, root.labels, conditions)
        for label, branch in root.branches:
            yield from parameters(branch, (*conditions, (root.choice_name, label)))


def only(root: Section, key: str) -> Section:
    """The tree with nothing but one key of the recipe, under the same names."""
    return Section(
        root.name,
        tuple((name, node) for name, node in root.entries if name == key),
        tuple((label, only(branch, key)) for label, branch in root.branches),
        root.line,
    )


def _resolve(
    section: Section,
    choose: Choose,
    path: Path,
    values: dict[str, Plain],
    origins: dict[Path, SpaceNode],
) -> None:
    origins[path] = section
    for key, node in section.entries:
        inner = (*path, key)
        if isinstance(node, Section):
            nested = values.setdefault(key, {})
            assert isinstance(nested, dict), "read_tree refuses a key on both sides of one_of"
            _resolve(node, choose, inner, nested, origins)
        else:
            if isinstance(node, Fixed):
                values[key] = node.value
            else:
                values[key] = choose(node.name, node.distribution)
            origins[inner] = node
    if section.branches:
        chosen = choose(section.choice_name, section.labels)
        branch = dict(section.branches)[str(chosen)]
        _resolve(branch, choose, path, values, origins)


def _leaves(section: Section, path: Path = ()) -> Iterator[tuple[Path, SpaceNode]]:
    """Every value below the section under any choice, by its path in the section."""
    for key, node in section.entries:
        if isinstance(node, Section):
            yield from _leaves(node, (*path, key))
        else:
            yield (*path, key), node
    for _, branch in section.branches:
        yield from _leaves(branch, path)


class _TreeReader:
    """Reads sections; collects problems.

    Of the three paths of a value, `name` holds labels, `path` is that of the recipe, and `place`
    is that of the file, where `one_of` is a key.
    """

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self._lines = source.lines

    def section(
        self,
        data: dict[str, Plain],
        name: str,
        path: Path,
        place: Path,
        *,
        in_branch: bool = False,
    ) -> Section:
        entries = tuple(
            (key, self._node(value, _join(name, key), (*path, key), (*place, key), in_branch))
            for key, value in data.items()
            if key != ONE_OF
        )
        branches = self._branches(data, name, path, place) if ONE_OF in data else ()
        section = Section(name, entries, branches, self._line(place))
        self._check_overlap(section)
        return section

    def _node(self, data: Plain, name: str, path: Path, place: Path, in_branch: bool) -> SpaceNode:
        line = self._line(place)
        reason = reason_if_fixed(path)
        if in_branch and reason:
            self._refuse(
                line,
                name,
                f"must be the same in all branches, since {reason}, got it under {ONE_OF}; "
                f"move it out of {ONE_OF}",
            )
        if isinstance(data, dict) and is_distribution(data):
            try:
                distribution = read_distribution(data)
            except ValueError as error:
                self._refuse(line, name, str(error))
            else:
                rule = rule_against(path, distribution)
                if rule is None:
                    return Searched(name, distribution, line)
                self._refuse(line, name, rule)
            return Fixed(name, None, line)
        if isinstance(data, dict):
            is_told = reason is not None
            return self.section(data, name, path, place, in_branch=in_branch and not is_told)
        return Fixed(name, data, line)

    def _branches(
        self, data: dict[str, Plain], name: str, path: Path, place: Path
    ) -> tuple[tuple[str, Section], ...]:
        choices = data[ONE_OF]
        place = (*place, ONE_OF)
        line = self._line(place)
        where = _join(name, ONE_OF)
        reason = reason_if_fixed(path)
        if reason:
            self._refuse(
                line,
                where,
                f"must be fixed in a space, since {reason}, got {ONE_OF}; write one section",
            )
            return ()
        if not isinstance(choices, dict) or not choices:
            self._refuse(
                line,
                where,
                f"must map labels to sections, got {show(choices)}; write LABEL: and its keys",
            )
            return ()
        branches = []
        for label, branch in choices.items():
            inner = (*place, label)
            label_name = _join(name, label)
            if not _LABEL.fullmatch(label):
                self._refuse(
                    self._line(inner),
                    where,
                    f"must have labels of letters, digits, _ and -, got {show(label)}; rename it",
                )
            elif label in data:
                self._refuse(
                    self._line(inner),
                    where,
                    f"must not have a label that is a key beside {ONE_OF} too, got {show(label)}; "
                    "rename the label",
                )
            if isinstance(branch, dict) and not is_distribution(branch):
                section = self.section(branch, label_name, path, inner, in_branch=True)
                branches.append((label, section))
            else:
                self._refuse(
                    self._line(inner),
                    label_name,
                    f"must be a section, got {show(branch)}; write its keys, or {{}} for none",
                )
        return tuple(branches)

    def _check_overlap(self, section: Section) -> None:
        common = dict(_leaves(Section(section.name, section.entries, (), None)))
        for label, branch in section.branches:
            for path, node in _leaves(branch):
                for length in range(1, len(path) + 1):
                    above = common.get(path[:length])
                    if above is not None:
                        self._refuse(
                            node.line,
                            node.name,
                            f"must stand on one side of {ONE_OF}, got it beside it and under "
                            f"{label}; remove one",
                        )
                below = [other for other in common if other[: len(path)] == path != other]
                if below:
                    self._refuse(
                        node.line,
                        node.name,
                        f"must be a section, as it is beside {ONE_OF}, got a value; remove it",
                    )

    def _line(self, place: Path) -> int | None:
        return self._lines.get(".".join(place))

    def _refuse(self, line: int | None, name: str, text: str) -> None:
        self.problems.append(Problem(line, name, text))


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
