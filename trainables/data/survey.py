"""The files of a data set as they lie on the disk: formats, sizes, damage."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from .decoded import Progress, unseen
from .folder import UNREADABLE, FolderSource, num_processors
from .pictures import look_at_picture, strict_pictures
from .tree import FileEntry

AT_ONCE = 256


@dataclass(frozen=True)
class FileSurvey:
    """What every picture file says of itself.

    Attributes:
        formats: Number of sound files by format and mode, such as `JPEG RGB`.
        widths: Smallest, median and largest width, pixels.
        heights: Likewise.
        smallest: Name of the picture with the fewest pixels.
        largest: Name of the one with the most.
        damaged: What cannot be decoded, as `name (reason)`.
        num_ignored: Files that are no pictures by their extension.
    """

    formats: Mapping[str, int]
    widths: list[int]
    heights: list[int]
    smallest: str
    largest: str
    damaged: list[str]
    num_ignored: int


def survey_files(source: FolderSource, progress: Progress = unseen) -> FileSurvey:
    """Decode every picture of a tree once, and keep its size.

    Args:
        source: Found, not decoded.
        progress: Told how many are done.
    """
    pictures = source.pictures
    found: list[tuple[str, int, int] | str] = []
    with source.tree.reader() as read, strict_pictures():

        def look(entry: FileEntry) -> tuple[str, int, int] | str:
            try:
                return look_at_picture(read(entry))
            except UNREADABLE as error:
                return " ".join(str(error).split()) or type(error).__name__

        with ThreadPoolExecutor(num_processors()) as pool:
            for start in range(0, len(pictures), AT_ONCE):
                found += pool.map(look, pictures[start : start + AT_ONCE])
                progress(len(found), len(pictures))
    names = ["/".join(entry.parts) for entry in pictures]
    sound = [
        (one[1] * one[2], name, one)
        for name, one in zip(names, found, strict=True)
        if not isinstance(one, str)
    ]
    return FileSurvey(
        formats=dict(Counter(one[0] for _, _, one in sound).most_common()),
        widths=_range([one[1] for _, _, one in sound]),
        heights=_range([one[2] for _, _, one in sound]),
        smallest=min(sound)[1] if sound else "",
        largest=max(sound)[1] if sound else "",
        damaged=[
            f"{name} ({one})"
            for name, one in zip(names, found, strict=True)
            if isinstance(one, str)
        ],
        num_ignored=source.num_ignored,
    )


def _range(values: list[int]) -> list[int]:
    return [min(values), int(median(values)), max(values)] if values else [0, 0, 0]
