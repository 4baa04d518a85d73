"""Splits that somebody wrote down: `split.csv` files, and the published ones that come with us.

A file has the columns `name` and `side`. A name is that of a class (`Greek/character07`, or its
last part), of a group (`Greek`), or a pattern with `*`; of several that fit, the first in this
order counts, and of patterns the longest. A side is `train`, `validation` or `test`; a number,
which names a fold; or `divide`, for what is divided by hash as if nothing else were there.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from .class_names import ClassNames
from .image_set import DataError

PUBLISHED: dict[str, str] = {
    "omniglot_background": "Lake et al. 2015 (Science 350): tests on the 20 evaluation alphabets, "
    "the background ones are divided",
    "omniglot_vinyals": "Vinyals et al. 2016 (arXiv 1606.04080), lists as released with Snell et "
    "al. 2017 (arXiv 1703.05175): 5 alphabets validate, 423 characters test",
    "mini_imagenet_ravi": "Ravi, Larochelle 2017 (ICLR): 64, 16 and 20 classes of ImageNet",
    "cub_mlrc": "Musgrave et al. 2020 (arXiv 2003.08505): classes 101-200 test, the first 100 in "
    "four folds of 25 in their order",
}
"""Names of `data.split.by` to where they come from; each is a file in `published/`."""

SIDES = ("train", "validation", "test", "divide")


@dataclass(frozen=True)
class SplitList:
    """Rows of a split file.

    Attributes:
        origin: The file or the published name, for messages.
        sides: Side by name, as written.
        is_published: Whether test rows may name classes that the set does not have: their images
            are often kept apart.
    """

    origin: str
    sides: Mapping[str, str]
    is_published: bool

    @property
    def num_folds(self) -> int:
        """Folds that it names; 0 where it names none."""
        return max((int(side) + 1 for side in self.sides.values() if side.isdigit()), default=0)

    def assign(self, image_set: ClassNames) -> dict[str, str]:
        """The side of every class.

        Raises:
            DataError: A class is on no side, or a row names nothing of the set.
        """
        found: dict[str, str] = {}
        known: set[str] = set()
        # The narrower pattern first: g2/* before *.
        patterns = sorted((name for name in self.sides if "*" in name), key=len, reverse=True)
        for name, group in zip(image_set.classes, image_set.group_of_class, strict=True):
            candidates = (name, name.rpartition("/")[2], image_set.groups[group])
            fitting = [one for one in candidates if one in self.sides]
            fitting += [p for p in patterns if any(fnmatchcase(one, p) for one in candidates)]
            if not fitting:
                raise DataError(
                    f"every class must have a side, got none for {name!r} in {self.origin}; add "
                    "a row for it or its group, or the row *,train for all that are left"
                )
            found[name] = self.sides[fitting[0]]
            known.update(fitting)
        self._refuse_unused(known)
        return found

    def _refuse_unused(self, known: set[str]) -> None:
        unused = [
            name
            for name, side in self.sides.items()
            if name not in known and name != "*" and not (self.is_published and side == "test")
        ]
        if not unused:
            return
        if self.is_published:
            raise DataError(
                f"data.split.by={self.origin} needs the data it was published for, got a set with "
                f"no group or class {unused[0]}; set data.split.by to group or class"
            )
        raise DataError(
            f"every row must name a class or a group of the set, got {unused[0]!r} in "
            f"{self.origin}, which fits none; correct or remove it"
        )


def published_split(name: str) -> SplitList:
    """The published split of that name."""
    text = (files(__package__) / "published" / f"{name}.csv").read_text(encoding="utf-8")
    return SplitList(name, _rows(text, name), is_published=True)


def read_split(path: Path) -> SplitList:
    """A split file.

    Raises:
        DataError: It cannot be read, or a row is wrong; the message gives file and line.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"data.split.path must be a readable CSV file, got {path}: {error}"
        ) from error
    return SplitList(str(path), _rows(text, str(path)), is_published=False)


def _rows(text: str, origin: str) -> dict[str, str]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"name", "side"} <= set(reader.fieldnames or ()):
        raise DataError(
            f"{origin}:1 must have the columns name and side, got "
            f"{', '.join(reader.fieldnames or ()) or 'nothing'}; write name,side as its first line"
        )
    sides: dict[str, str] = {}
    for row in reader:
        name, side = (row["name"] or "").strip(), (row["side"] or "").strip()
        at = f"{origin}:{reader.line_num}"
        if side not in SIDES and not side.isdigit():
            raise DataError(
                f"{at} side must be one of {', '.join(SIDES)} or the number of a fold, got "
                f"{side!r}; write one of these"
            )
        if not name or name in sides:
            why = "got it twice" if name else "got nothing"
            raise DataError(f"{at} name must be given once, {why}: {name!r}; remove the row")
        sides[name] = side
    return sides
