"""Epochs a minute of a head on a frozen backbone, against training the whole encoder.

2,000 synthetic images (100 classes x 20) of 64 pixels in colour, ResNet-18 without pretrained
weights, batches of 32 x 4, SupCon. The backbone is run once an image; a second trial of the
process finds its features there. An epoch is as many steps as batches cover the images.

    python benchmarks/frozen_head.py --threads 1 --json
"""

import argparse
import json
import time

import numpy as np
import torch

from tripletune.spaces import Recipe
from tripletune.trainables import (
    ImageSet,
    Preprocessing,
    Trial,
    TrialData,
    default_device,
    prepare,
)

CLASSES, IMAGES = 100, 20


def image_set(classes: int, size: int, seed: int) -> ImageSet:
    """Noise: what the images show does not change the time of a step."""
    random = np.random.default_rng(seed)
    return ImageSet(
        images=random.integers(0, 256, (classes * IMAGES, 3, size, size), dtype=np.uint8),
        labels=np.repeat(np.arange(classes), IMAGES),
        classes=tuple(f"c{c:03d}" for c in range(classes)),
        groups=("all",),
        group_of_class=np.zeros(classes, dtype=np.int64),
    )


def recipe(size: int, train: str, head: str, threads: int) -> Recipe:
    """ResNet-18 with this head."""
    return Recipe.model_validate(
        {
            "data": {"image_size": size, "color": "rgb"},
            "encoder": {"name": "resnet18", "train": train, "head": {"name": head}},
            "objective": {"loss": {"name": "supcon"}},
            "batch": {"classes": 32, "samples": 4},
            "augment": {"probability": 0.0},
            "budget": {"steps": 100_000, "report_every": 100},
            "compute": {"precision": "fp32", "threads": threads},
        }
    )


def epochs_per_minute(trial: Trial, seconds: float) -> float:
    """Of training without evaluation, after a warm-up of one step."""
    trial.train(1)
    first, begin = trial.step, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        trial.train(1)
    images = (trial.step - first) * trial.recipe.batch.size
    return images / (CLASSES * IMAGES) / (time.perf_counter() - begin) * 60


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    size = arguments.size
    data = TrialData(
        train=image_set(CLASSES, size, 0),
        validation=image_set(CLASSES // 4, size, 1),
        fingerprint="noise",
        split_digest="noise",
        notes=(),
        preprocessing=Preprocessing(image_size=size, color="rgb", invert=False),
    )
    device = default_device()
    prepared = prepare(data, recipe(size, "head", "linear", 1).evaluation, device)
    rates: dict[str, float] = {}
    for train, head in (
        ("head", "linear"),
        ("head", "mlp"),
        ("head", "bnneck"),
        ("all", "linear"),
    ):
        begin = time.perf_counter()
        trial = Trial(recipe(size, train, head, arguments.threads), prepared)
        name = f"{train}_{head}"
        rates[f"{name}_start_s"] = time.perf_counter() - begin
        rates[f"{name}_epochs_per_minute"] = epochs_per_minute(trial, arguments.seconds)
        begin = time.perf_counter()
        trial.evaluate()
        rates[f"{name}_evaluation_s"] = time.perf_counter() - begin
    if arguments.json:
        print(json.dumps(rates))
        return
    print(f"{torch.get_num_threads()} threads, {device}, {size} px")
    for name, value in rates.items():
        print(f"{name:32} {value:10.3f}")


if __name__ == "__main__":
    main()
