"""Class-disjoint splits: which classes train, which score the trials, which no trial can open."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...spaces import SplitConfig
from .class_names import ClassNames, some_of
from .image_set import DataError
from .split_lists import PUBLISHED, SplitList, published_split, read_split

LEAST_CLASSES = 2
"""Classes that a side needs when single classes are divided: with one there is no negative."""


@dataclass(frozen=True)
class Split:
    """The names of the classes on each side; no class is on two.

    Attributes:
        train: Classes to learn from.
        validation: Classes that score the trials.
        test: Classes that no trial can open; empty where the share is 0.
        by: What was divided: whole groups (`group`) or single classes (`class`); `file`, or the
            name of the published list that was used.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    by: str

    @property
    def manifest(self) -> str:
        """The three lists as JSON, each sorted."""
        sides = {
            "train": sorted(self.train),
            "validation": sorted(self.validation),
            "test": sorted(self.test),
        }
        return json.dumps({"version": 1, **sides}, indent=1)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, 64 hexadecimal digits."""
        return hashlib.sha256(self.manifest.encode()).hexdigest()


def split_classes(image_set: ClassNames, config: SplitConfig) -> Split:
    """Divide the classes of a set.

    Names are ordered by the SHA-256 of "seed:name", the same on every platform; the test side
    takes the first, the validation side the next, so changing one share leaves the other side's
    first names in place. A side gets its share of the groups (or classes), rounded, and at least
    one group (or two classes). With `folds`, what is no test is dealt out in that order instead,
    and the fold `fold` validates: over all folds, each name validates once. A set with fewer
    groups than sides (or folds) is divided by class where `config.by` asks for groups, and
    `Split.by` tells it: flat folders have a single group.

    Published splits and those of a file name their classes, see `split_lists`.

    Args:
        image_set: Its class and group names.
        config: What to divide, the shares, and the seed.

    Returns:
        The class names of each side, in the order of the set.

    Raises:
        DataError: There are too few classes for the sides, or a list does not fit the set.
    """
    if config.by == "file":
        assert config.path is not None  # SplitConfig refuses file without it
        return _split_by_list(image_set, config, read_split(Path(config.path)))
    if config.by in PUBLISHED:
        return _split_by_list(image_set, config, published_split(config.by))
    num_test_sides = 1 if config.test > 0 else 0
    num_parts = (config.folds or 2) + num_test_sides
    by, names = _what_to_divide(image_set, config.by, num_parts)
    least = 1 if by == "group" else LEAST_CLASSES
    if len(names) < least * num_parts:
        what = "folds" if config.folds else "sides"
        fix = "add classes" if config.test == 0 else "add classes, or set data.split.test to 0"
        fix += ", or lower data.split.folds" if config.folds else ""
        raise DataError(
            f"data.split needs at least {least * num_parts} classes, {least} on each of "
            f"{num_parts} {what}, got {len(names)}; {fix}"
        )
    order = sorted(names, key=lambda name: _rank(config.seed, name))
    if config.folds:
        most = len(names) - config.folds * least
        asked = max(least, int(config.test * len(names) + 0.5)) if config.test > 0 else 0
        num_test = min(most, asked)
        validation = order[num_test:][config.fold :: config.folds]
    else:
        num_validation, num_test = _sizes(len(names), config, least)
        validation = order[num_test : num_test + num_validation]
    return _divide(image_set, by, _on(validation, "validation") | _on(order[:num_test], "test"))


def _split_by_list(image_set: ClassNames, config: SplitConfig, rows: SplitList) -> Split:
    """The split that a list names; what it leaves to be divided is, without a test side."""
    sides = rows.assign(image_set)
    if rows.num_folds:
        if config.fold >= rows.num_folds:
            raise DataError(
                f"data.split.fold must be < {rows.num_folds}, the folds of {rows.origin}, got "
                f"{config.fold}; lower it"
            )
        for name, side in sides.items():
            if side.isdigit():
                sides[name] = "validation" if int(side) == config.fold else "train"
    left = [name for name, side in sides.items() if side == "divide"]
    if left:
        # Its test side is what the list says.
        inner = SplitConfig(
            validation=config.validation,
            test=0.0,
            seed=config.seed,
            folds=config.folds,
            fold=config.fold,
        )
        divided = split_classes(some_of(image_set, left), inner)
        for side in ("train", "validation"):
            sides |= dict.fromkeys(getattr(divided, side), side)
    split = _by_sides(image_set, config.by, sides)
    for side in ("train", "validation"):
        if len(getattr(split, side)) < LEAST_CLASSES:
            raise DataError(
                f"{rows.origin} must put at least {LEAST_CLASSES} classes of the set on its "
                f"{side} side, got {len(getattr(split, side))}; add rows for it"
            )
    return split


def _what_to_divide(image_set: ClassNames, by: str, num_parts: int) -> tuple[str, Sequence[str]]:
    """Groups where they are asked for and enough, else classes."""
    if by == "group" and len(image_set.groups) >= num_parts:
        return "group", image_set.groups
    return "class", image_set.classes


def _on(names: Collection[str], side: str) -> dict[str, str]:
    return dict.fromkeys(names, side)


def _divide(image_set: ClassNames, by: str, side_of: Mapping[str, str]) -> Split:
    """The split where these classes, or groups, are on these sides, and all others train."""
    owners = image_set.classes
    if by == "group":
        owners = tuple(image_set.groups[index] for index in image_set.group_of_class)
    sides = {
        name: side_of.get(owner, "train")
        for name, owner in zip(image_set.classes, owners, strict=True)
    }
    return _by_sides(image_set, by, sides)


def _by_sides(image_set: ClassNames, by: str, sides: Mapping[str, str]) -> Split:
    train, validation, test = (
        tuple(name for name in image_set.classes if sides[name] == side)
        for side in ("train", "validation", "test")
    )
    return Split(train, validation, test, by)


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _sizes(count: int, config: SplitConfig, least: int) -> tuple[int, int]:
    """How many of `count` names go to validation and to test."""
    validation = max(least, int(config.validation * count + 0.5))
    test = max(least, int(config.test * count + 0.5)) if config.test > 0 else 0
    while count - validation - test < least:
        if validation >= test:
            validation -= 1
        else:
            test -= 1
    return validation, test


def describe_split(split: Split, image_set: ClassNames, config: SplitConfig) -> Sequence[str]:
    """Lines that say where a split is not what was asked for."""
    if split.by == config.by:
        return ()
    groups = "1 group" if len(image_set.groups) == 1 else f"{len(image_set.groups)} groups"
    return (f"split by class: the set has {groups}, too few to divide by group",)
