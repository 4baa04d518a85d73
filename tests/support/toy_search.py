"""A tiny data set on disk and a tiny space over it: a trial takes about a second."""

from pathlib import Path

from PIL import Image
from toy import IMAGE_SIZE, image_set

from tripletune.search.options import SearchOptions
from tripletune.spaces import Space

NUM_CLASSES = 16

SPACE = """
data:
  image_size: 16
  split: {by: class, validation: 0.5, test: 0.0}
encoder:
  width: 8
  embedding_dim: {choice: [8, 16]}
objective:
  one_of:
    triplet:
      loss: {name: triplet, margin: {uniform: [0.1, 0.5]}}
      miner: {name: {choice: [all, semi_hard]}}
    supcon:
      loss: {name: supcon, temperature: {log_uniform: [0.05, 0.5]}}
batch: {classes: 6, samples: 3}
optimizer:
  learning_rate: {log_uniform: [1e-3, 1e-2]}
budget: {steps: 18, report_every: 2}
evaluation: {way: 5, episodes: 60, within: any}
compute: {precision: fp32}
"""
"""Without the data's path: rungs at 2, 6 and 18 steps."""


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
