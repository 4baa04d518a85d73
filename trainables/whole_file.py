"""Files that a reader sees whole or not at all, whatever happens to the writer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when it is closed without an error.

    Until then it stands beside `path`, under its name and `.partial`; a writer that fails leaves
    it there and `path` as it was. One writer at a time.
    """
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
