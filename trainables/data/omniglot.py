"""The data set `omniglot`: 964 hand-written characters of 30 alphabets (the background set).

Source: Lake, Salakhutdinov, Tenenbaum 2015, "Human-level concept learning through probabilistic
program induction", Science 350. Groups are alphabets; only the background set is ever read, as its
README asks of anything that learns or tunes.
"""

from collections.abc import Callable
from pathlib import Path

from ...spaces import DataConfig
from .folder import FolderSource
from .image_set import DataError

_UNPACKED = Path("omniglot-py", "images_background")


def open_omniglot(
    config: DataConfig, download: Callable[[Path], None] | None = None
) -> FolderSource:
    """The background set, downloaded by torchvision where it is not on disk.

    Args:
        config: `path` is the tree or a zip of it, or the folder to download to; without it the
            user's cache folder is used.
        download: Fetches the set into a folder; torchvision's by default.

    Raises:
        DataError: The set is not on disk and cannot be downloaded.
    """
    folder = Path(config.path).expanduser() if config.path is not None else _cache_folder()
    if folder.is_file() or _holds_tree(folder):
        return FolderSource(config, folder)
    unpacked = folder / _UNPACKED
    if not unpacked.is_dir():
        try:
            (download or _download)(folder)
        except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError on a bad file
            raise DataError(
                f"data.name=omniglot could not be downloaded to {folder} ({error}); get "
                "images_background.zip elsewhere and pass --data PATH to it or to its tree"
            ) from error
    return FolderSource(config, unpacked)


def _holds_tree(folder: Path) -> bool:
    """Whether the folder is itself the unpacked set: it holds ALPHABET/characterNN."""
    patterns = ("character*", "*/character*", "*/*/character*")
    return (
        folder.is_dir()
        and not (folder / _UNPACKED).is_dir()
        and any(next(folder.glob(pattern), None) is not None for pattern in patterns)
    )


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("tripletune") / "omniglot"


def _download(folder: Path) -> None:
    from torchvision.datasets import Omniglot  # takes seconds to import

    folder.mkdir(parents=True, exist_ok=True)
    Omniglot(str(folder), background=True, download=True)
