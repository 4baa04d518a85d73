"""The names of a set without its images: what a split is made from."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ClassNames(Protocol):
    """What `ImageSet` and `NamedClasses` have in common; see there."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Name of each group."""

    @property
    def group_of_class(self) -> NDArray[np.int64]:
        """Index into `groups`, one a class."""


@dataclass(frozen=True, eq=False)
class NamedClasses:
    """Classes and groups by name, as in `ImageSet`."""

    classes: tuple[str, ...]
    groups: tuple[str, ...]
    group_of_class: NDArray[np.int64]


def some_of(names: ClassNames, chosen: Collection[str]) -> NamedClasses:
    """The chosen classes, and the groups that still have one."""
    wanted = set(chosen)
    kept = [index for index, name in enumerate(names.classes) if name in wanted]
    groups, group_of_class = np.unique(names.group_of_class[kept], return_inverse=True)
    return NamedClasses(
        tuple(names.classes[index] for index in kept),
        tuple(names.groups[index] for index in groups),
        group_of_class.astype(np.int64),
    )
