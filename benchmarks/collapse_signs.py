"""What the signs of a collapse cost, spread over the steps between two reports.

Trains the preset omniglot's encoder on noise and times a training step, the signs of one report
(spread, effective rank, distances, norm) and the loss's value at a collapse.

    python benchmarks/collapse_signs.py [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from tripletune.spaces import Recipe, Space
from tripletune.trainables import ImageSet, Preprocessing, Trial, TrialData, prepare
from tripletune.trainables.collapse import SIGNS_PAIRS, collapse_signs

ROUNDS, STEPS = 5, 4


def noise(num_classes: int, seed: int, size: int) -> ImageSet:
    """Random images, 20 a class, in groups of 25 classes."""
    images = np.random.default_rng(seed).integers(0, 256, (num_classes * 20, 1, size, size))
    return ImageSet(
        images=images.astype(np.uint8),
        labels=np.repeat(np.arange(num_classes), 20),
        classes=tuple(f"{c:04d}" for c in range(num_classes)),
        groups=tuple(f"{g:02d}" for g in range(num_classes // 25)),
        group_of_class=np.arange(num_classes) // 25,
    )


def seconds(action: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """Print both times and the share."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    space = Space.load("omniglot").with_values({"objective": "supcon"})
    recipe: Recipe = space.build(lambda name, distribution: distribution.corners[0])
    size = recipe.data.image_size
    data = TrialData(
        train=noise(200, 0, size),
        validation=noise(50, 1, size),
        fingerprint="noise",
        split_digest="noise",
        preprocessing=Preprocessing(image_size=size, color="grey", invert=False),
        notes=(),
    )
    trial = Trial(recipe, prepare(data, recipe.evaluation, torch.device("cpu")))
    dim = recipe.encoder.embedding_dim
    raw, labels = torch.randn(2 * SIGNS_PAIRS, dim), torch.arange(2 * SIGNS_PAIRS) // 2
    trial.train(STEPS)
    rounds = [
        (
            seconds(lambda: trial.train(STEPS)) / STEPS,
            seconds(lambda: collapse_signs(raw, labels)),
            seconds(lambda: trial._objective.collapse_value(raw[0])),
        )
        for _ in range(ROUNDS)
    ]
    step, signs, value = (statistics.median(column) for column in zip(*rounds, strict=True))
    every = recipe.budget.report_every
    result = {
        "step_s": step,
        "signs_s": signs,
        "value_at_a_collapse_s": value,
        "report_every": every,
        "share_of_a_step": (signs + value) / every / step,
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"a step {step * 1e3:.1f} ms, the signs of a report {signs * 1e3:.1f} ms and the value at "
        f"a collapse {value * 1e3:.1f} ms, every {every} steps: "
        f"{result['share_of_a_step']:.2%} of a step"
    )


if __name__ == "__main__":
    main()
