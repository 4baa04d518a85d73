"""Class-disjoint splits: which classes train, which score the trials, which no trial can open."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...spaces import SplitConfig
from .image_set import DataError, ImageSet

LEAST_CLASSES = 2
"""Classes that a side needs when single classes are divided: with one there is no negative."""


VINYALS_VALIDATION = frozenset(
    {"Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)"}
)
"""The five alphabets, 172 characters, of the validation list `omniglot_vinyals`."""

SplitBy = Literal["group", "class", "omniglot_vinyals"]


@dataclass(frozen=True)
class Split:
    """The names of the classes on each side; no class is on two.

    Attributes:
        train: Classes to learn from.
        validation: Classes that score the trials.
        test: Classes that no trial can open; empty where the share is 0.
        by: What was divided: whole groups or single classes; or the published list that was used.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    by: SplitBy

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


def split_classes(image_set: ImageSet, config: SplitConfig) -> Split:
    """Divide the classes of a set.

    Names are ordered by the SHA-256 of "seed:name", the same on every platform; the test side
    takes the first, the validation side the next, so changing one share leaves the other side's
    first names in place. A side gets its share of the groups (or classes), rounded, and at least
    one group (or two classes). A set with fewer groups than sides is divided by class where
    `config.by` asks for groups, and `Split.by` tells it: flat folders have a single group.

    `omniglot_vinyals` validates on five named alphabets, trains on all others of the set and
    leaves the test side empty (Vinyals et al. 2016, arXiv 1606.04080; list as released with Snell
    et al. 2017, arXiv 1703.05175). Shares and seed play no part.

    Args:
        image_set: Its class and group names are used, not its images.
        config: What to divide, the shares, and the seed.

    Returns:
        The class names of each side, in the order of the set.

    Raises:
        DataError: There are too few classes for the sides, or a published split needs a group
            that the set does not have.
    """
    if config.by == "omniglot_vinyals":
        _check_published(image_set)
        return _divide(image_set, config.by, validation=VINYALS_VALIDATION, test=frozenset())
    num_sides = 3 if config.test > 0 else 2
    by: SplitBy = config.by if len(image_set.groups) >= num_sides else "class"
    names = image_set.groups if by == "group" else image_set.classes
    least = 1 if by == "group" else LEAST_CLASSES
    if len(names) < least * num_sides:
        fix = "add classes" if config.test == 0 else "add classes, or set data.split.test to 0"
        raise DataError(
            f"data.split needs at least {least * num_sides} classes, {least} on each of "
            f"{num_sides} sides, got {len(names)}; {fix}"
        )
    num_validation, num_test = _sizes(len(names), config, least)
    order = sorted(names, key=lambda name: _rank(config.seed, name))
    return _divide(
        image_set,
        by,
        validation=frozenset(order[num_test : num_test + num_validation]),
        test=frozenset(order[:num_test]),
    )


def _divide(
    image_set: ImageSet, by: SplitBy, validation: frozenset[str], test: frozenset[str]
) -> Split:
    """The split whose validation and test sides hold these classes, or these groups."""
    owners = image_set.classes
    if by != "class":
        owners = tuple(image_set.groups[index] for index in image_set.group_of_class)
    sides: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name, owner in zip(image_set.classes, owners, strict=True):
        side = "test" if owner in test else "validation" if owner in validation else "train"
        sides[side].append(name)
    return Split(tuple(sides["train"]), tuple(sides["validation"]), tuple(sides["test"]), by)


def _check_published(image_set: ImageSet) -> None:
    missing = sorted(VINYALS_VALIDATION.difference(image_set.groups))
    if missing or len(image_set.groups) == len(VINYALS_VALIDATION):
        lack = f"no group {missing[0]}" if missing else "no other group to train on"
        raise DataError(
            "data.split.by=omniglot_vinyals needs Omniglot's background alphabets, got a set with "
            f"{lack}; set data.split.by to group or class"
        )


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


def describe_split(split: Split, image_set: ImageSet, config: SplitConfig) -> Sequence[str]:
    """Lines that say where a split is not what was asked for."""
    if split.by == config.by:
        return ()
    groups = "1 group" if len(image_set.groups) == 1 else f"{len(image_set.groups)} groups"
    return (f"split by class: the set has {groups}, too few to divide by group",)
