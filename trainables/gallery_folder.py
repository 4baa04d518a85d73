"""A folder of pictures as a gallery: `NAME/picture`, or `NAME.picture` for one each."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from .data.pictures import EXTENSIONS
from .recognizer import Recognizer


def list_gallery(folder: Path) -> Mapping[str, list[Path]]:
    """The pictures of each name, both in the order of their names.

    Args:
        folder: Holds a folder of pictures for each name, or a picture named so. Files that are no
            pictures by their extension, and hidden ones, are left out.

    Raises:
        NotADirectoryError: If it is no folder.
        ValueError: If it holds no pictures, folders within a name's folder, or a link to the
            outside.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"the gallery must be a folder or a saved gallery, got {folder}")
    root = folder.resolve()
    found: dict[str, list[Path]] = {}
    for path in _visible(folder, root):
        if path.is_dir():
            for picture in _visible(path, root):
                if picture.is_dir():
                    raise ValueError(
                        f"the gallery must be laid out as NAME/picture, got a folder {picture} "
                        "two deep"
                    )
                if is_picture(picture):
                    found.setdefault(path.name, []).append(picture)
        elif is_picture(path):
            found.setdefault(path.stem, []).append(path)
    if not found:
        raise ValueError(
            f"the gallery must hold pictures as NAME/picture or NAME.png, got none in {folder}"
        )
    return found


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its extension."""
    return path.suffix.lower().removeprefix(".") in EXTENSIONS


def enrol_folder(recognizer: Recognizer, folder: Path) -> None:
    """Enrol everyone of a folder; all of them or, after an error, nobody.

    Raises:
        NotADirectoryError: As of `list_gallery`.
        ValueError: As of `list_gallery`, or a picture is unreadable.
    """
    before = recognizer.gallery
    try:
        for name, pictures in list_gallery(folder).items():
            recognizer.enrol(name, pictures)
    except BaseException:
        recognizer.gallery = before
        raise


def _visible(folder: Path, root: Path) -> Iterator[Path]:
    """What a folder holds, by name.

    Raises:
        ValueError: If a link in it leads out of the gallery.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.resolve().is_relative_to(root):
            raise ValueError(
                f"the gallery must lie in its folder, got {path}, a link to the outside: copy "
                "what it leads to"
            )
        yield path
