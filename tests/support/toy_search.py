"""A tiny data set on disk and a tiny space over it: a trial takes about a second."""

import json
from pathlib import Path

from PIL import Image
from toy import IMAGE_SIZE, image_set
from toy_space import SPACE

from tripletune.search.database_url import checked_database
from tripletune.search.datasets import load_study_data
from tripletune.search.options import SearchOptions
from tripletune.search.study_settings import StudySettings, versions
from tripletune.spaces import Space

NUM_CLASSES = 16


def write_images(folder: Path, *, num_classes: int = NUM_CLASSES, noise: float = 90.0) -> Path:
    """Write `CLASS/image.png` for a few classes of noisy patterns."""
    images = image_set(groups=1, classes=num_classes, noise=noise)
    for index, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
        path = folder / f"class{label:02d}" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0], mode="L").save(path)
    assert images.images.shape[-1] == IMAGE_SIZE
    return folder


def write_space(folder: Path, text: str = SPACE) -> Path:
    """Write a space file."""
    path = folder / "toy.yaml"
    path.write_text(text)
    return path


def toy_space(images: Path, **changes: str | float | None) -> Space:
    """The space over a folder that `write_images` made; `__` in a name stands for a dot."""
    values = {name.replace("__", "."): value for name, value in changes.items()}
    space = Space.from_text(SPACE, origin="toy.yaml")
    return space.with_values({"data.name": "folder", "data.path": str(images)} | values)


def toy_options(trials: int, **changes: object) -> SearchOptions:
    """Two trials at a time, no trained baselines, and no W&B."""
    values: dict[str, object] = {
        "trials": trials,
        "concurrency": 2,
        "baselines": False,
        "wandb": "off",
    }
    return SearchOptions(**(values | changes))  # type: ignore[arg-type]  # each test names its own


def toy_settings(space: Space, database: str = "journal") -> StudySettings:
    """Settings of a study over the space, with its real data."""
    data = load_study_data(space, print)
    return StudySettings(
        space=space.text,
        options=json.loads(json.dumps(toy_options(4).to_dict())),
        data=data.description,
        episodes=data.episodes,
        baselines=data.baselines,
        versions=versions(),
        database=checked_database(database),
    )
