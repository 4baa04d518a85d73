"""A space: the recipes that a search may try, read from a file that a person edits."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from .corners import chooser, corner_choices, every_choice
from .distributions import Distribution
from .explain import closest, explain
from .overrides import overridden
from .points import POINTS, Point, fitting, read_points
from .recipe import BatchConfig, DataConfig, Recipe
from .sections import Choose, Parameter, Section, only, parameters, read_tree, resolve
from .source import Plain, Problem, Source, SpaceError, Value, read_file, read_source, write_yaml

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Space:
    """A recipe in which values may be searched and sections may choose a branch.

    Made by `load` or `from_text`, which check it: see `corners.py` for how far.

    Attributes:
        name: Of the preset, or of the file without its suffix.
        text: The space as YAML, without comments; `from_text` reads it back to an equal space.
        root: The space as a tree.
        points: Values of some parameters, by name: what a search tries first.
    """

    name: str
    text: str
    root: Section = field(repr=False)
    points: tuple[Point, ...]
    _source: Source = field(repr=False, compare=False)

    @classmethod
    def load(cls, path_or_name: str | PathLike[str]) -> "Space":
        """The space of a file or of a preset.

        Args:
            path_or_name: A path, or the name of a preset (`preset_names`), which goes before a
                file of that name without a suffix.

        Raises:
            SpaceError: If there is no such file or preset, or it is no space: one line for each
                problem, with file, line, rule and fix.
        """
        name = str(path_or_name)
        if name in preset_names():
            preset = resources.files(__package__) / "presets" / f"{name}.yaml"
            return cls.from_text(preset.read_text(encoding="utf-8"), f"{name}.yaml")
        path = Path(path_or_name)
        is_path = path.suffix in _SUFFIXES or path.name != name or path.exists()
        if not is_path:
            known = preset_names()
            meant = closest(name, known)
            fix = f"did you mean {meant}?" if meant else "name one of these, or a .yaml file"
            text = f"must be a file or one of the presets {', '.join(known)}, got '{name}'; {fix}"
            raise SpaceError.of([Problem(None, "", text)], "space")
        return cls.from_text(read_file(path), name)

    @classmethod
    def from_text(cls, text: str, origin: str) -> "Space":
        """The space that a YAML text spells out.

        Args:
            text: The YAML.
            origin: Where it came from, for messages; its last part names the space.

        Raises:
            SpaceError: If it is no space: one line for each problem, with line, rule and fix.
        """
        return cls._from_source(read_source(text, origin))

    @classmethod
    def _from_source(cls, source: Source) -> "Space":
        root = read_tree(_recipes(source))
        _check(root, source.origin)
        points = read_points(source, tuple(parameters(root)))
        path = Path(source.origin)
        name = path.stem if path.suffix in _SUFFIXES else path.name
        return cls(name, write_yaml(source.data), root, points, source)

    @property
    def digest(self) -> str:
        """Hash that names the space: 12 hexadecimal digits of the SHA-256 of its content.

        As in a recipe's, `data.path` is left out.
        """
        content: dict[str, object] = dict(self._source.data)
        if isinstance(data := content.get("data"), dict):
            content["data"] = {key: value for key, value in data.items() if key != "path"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def with_values(self, values: Mapping[str, Value]) -> "Space":
        """The space with some values fixed, as from a command line.

        Args:
            values: By dotted path. A path of the recipe (`batch.classes`) fixes the value in all
                branches; a parameter's name (`objective.triplet.loss.margin`) in its branch; a
                label at a `one_of` (`{"objective": "triplet"}`) leaves that branch alone.

        Raises:
            SpaceError: If a path is unknown, or the space breaks a rule with the values. What
                `points` say of values that are fixed now is left out.
        """
        if not values:
            return self
        source = overridden(self._source, values)
        root = read_tree(_recipes(source))
        fitted = [dict(fitting(point, tuple(parameters(root)))) for point in self.points]
        source.data.pop(POINTS, None)
        if kept := [point for point in fitted if point]:
            source.data[POINTS] = cast(Plain, kept)
        return self._from_source(source)

    def with_points(self, points: Iterable[Point]) -> "Space":
        """The space with further points to try first, as far as they fit it.

        Args:
            points: Values by parameter name, of this space or of another one.
        """
        every = tuple(parameters(self.root))
        fitted = [dict(fitting(point, every)) for point in points]
        new = [point for point in fitted if point and point not in self.points]
        if not new:
            return self
        kept = cast(list[Plain], [dict(point) for point in self.points] + new)
        source = Source(
            {**self._source.data, POINTS: kept}, self._source.lines, self._source.origin
        )
        return self._from_source(source)

    def build(self, choose: Choose) -> Recipe:
        """One recipe of the space, define by run.

        Args:
            choose: Called with name and distribution of every parameter that is active under the
                choices made so far, in a fixed order; returns its value.

        Raises:
            ValueError: If `choose` returns what its distribution does not hold.
            SpaceError: If the recipe breaks a rule that the check of the space did not reach.
        """

        def checked(name: str, distribution: Distribution) -> Value:
            value = choose(name, distribution)
            if not distribution.contains(value):
                raise ValueError(f"{name} must be drawn from {distribution}, got {value!r}")
            return value

        resolved = resolve(self.root, checked)
        try:
            return Recipe.model_validate(resolved.values)
        except ValidationError as error:
            raise SpaceError.of(explain(error, resolved), self._source.origin) from error

    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter with the choices under which it exists, in the order of `build`."""
        return tuple(parameters(self.root))

    def data_configs(self) -> tuple[DataConfig, ...]:
        """Every distinct `data` section of the recipes of the space."""
        return tuple(dict.fromkeys(DataConfig.model_validate(v) for v in self._corners("data")))

    def batch_configs(self) -> tuple[BatchConfig, ...]:
        """Every distinct `batch` section at the corners of the space, so its largest too."""
        return tuple(dict.fromkeys(BatchConfig.model_validate(v) for v in self._corners("batch")))

    def _corners(self, key: str) -> Iterator[object]:
        """One section of the recipe at every combination of its corners."""
        section = only(self.root, key)
        for choices in every_choice(section):
            yield resolve(section, chooser(choices)).values.get(key, {})


def preset_names() -> tuple[str, ...]:
    """Names of the spaces that come with the package, sorted."""
    files = (resources.files(__package__) / "presets").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def _recipes(source: Source) -> Source:
    """The file without what is no part of a recipe."""
    data = {key: value for key, value in source.data.items() if key != POINTS}
    return Source(data, source.lines, source.origin)


def _check(root: Section, origin: str) -> None:
    problems: dict[tuple[str, str], Problem] = {}
    for choices in corner_choices(root):
        resolved = resolve(root, chooser(choices))
        try:
            Recipe.model_validate(resolved.values)
        except ValidationError as error:
            _gather(problems, explain(error, resolved))
    if problems:
        raise SpaceError.of(problems.values(), origin)


def _gather(problems: dict[tuple[str, str], Problem], found: Iterable[Problem]) -> None:
    """Adds what is new: a rule is reported once a place, with the first value that breaks it."""
    for problem in found:
        rule = problem.text.partition(", got ")[0]
        problems.setdefault((problem.path, rule), problem)
