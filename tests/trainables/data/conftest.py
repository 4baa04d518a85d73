"""Trees of small pictures, and the real data where they are."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

MakeTree = Callable[..., Path]


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """A function that writes `GROUP/CLASS/image` (or `CLASS/image`) and returns the root."""

    def make(
        classes: Sequence[str], num_images: int = 3, root: str = "tree", paper: int = 20
    ) -> Path:
        folder = tmp_path / root
        for index, name in enumerate(classes):
            (folder / name).mkdir(parents=True)
            for number in range(num_images):
                pixels = np.full((24, 20), paper, np.uint8)
                pixels[4 + number : 12, 2 : 6 + index % 12] = 130
                Image.fromarray(pixels).save(folder / name / f"{number}.png")
        return folder

    return make


@pytest.fixture
def zip_tree(tmp_path: Path) -> Callable[[Path, str], Path]:
    """A function that packs a folder, under a wrapping name, in no particular order."""

    def pack(folder: Path, wrapping: str) -> Path:
        path = tmp_path / f"{folder.name}.zip"
        files = sorted((file for file in folder.rglob("*") if file.is_file()), reverse=True)
        with ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, f"{wrapping}{file.relative_to(folder).as_posix()}")
        return path

    return pack


@pytest.fixture(scope="session")
def omniglot_archive() -> Path:
    """The zip of Omniglot's background set; skips where it is absent."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    data = Path(os.environ.get("TRIPLETUNE_TEST_DATA", default))
    archive = data / "omniglot" / "images_background.zip"
    if not archive.is_file():
        pytest.skip(f"no Omniglot at {archive}; set TRIPLETUNE_TEST_DATA")
    return archive


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole run: glyphs are drawn and Omniglot is decoded once."""
    return tmp_path_factory.mktemp("cache")
