"""A tiny data set that an encoder learns in seconds: each class is a pattern plus noise."""

import numpy as np

from tripletune.spaces import (
    BatchConfig,
    BudgetConfig,
    ComputeConfig,
    Conv4,
    DataConfig,
    EvaluationConfig,
    MinerConfig,
    ObjectiveConfig,
    OptimizerConfig,
    Recipe,
    SupCon,
)
from tripletune.trainables import ImageSet, Preprocessing, TrialData

IMAGE_SIZE = 16


def image_set(
    *, groups: int = 3, classes: int = 6, images: int = 5, seed: int = 0, noise: float = 110.0
) -> ImageSet:
    """`groups` x `classes` classes of `images` noisy copies of a random blocky pattern."""
    random = np.random.default_rng(seed)
    num_classes = groups * classes
    blocks = random.integers(0, 256, (num_classes, 1, 4, 4))
    patterns = np.kron(blocks, np.ones((4, 4)))  # (C, 1, 16, 16)
    noisy = patterns[:, None] + random.normal(0, noise, (num_classes, images, 1, 16, 16))
    return ImageSet(
        images=noisy.clip(0, 255).astype(np.uint8).reshape(-1, 1, 16, 16),
        labels=np.repeat(np.arange(num_classes), images),
        classes=tuple(f"g{c // classes}/c{c:02d}" for c in range(num_classes)),
        groups=tuple(f"g{g}" for g in range(groups)),
        group_of_class=np.repeat(np.arange(groups), classes),
    )


def trial_data() -> TrialData:
    """Train and validation sets of different classes."""
    return TrialData(
        train=image_set(seed=0),
        validation=image_set(seed=1),
        fingerprint="toy",
        split_digest="toy",
        preprocessing=Preprocessing(image_size=IMAGE_SIZE, color="grey", invert=False),
        notes=(),
    )


def recipe(**changes: object) -> Recipe:
    """A recipe that trains on the toy set in about a second."""
    values: dict[str, object] = {
        "data": DataConfig(image_size=IMAGE_SIZE),
        "encoder": Conv4(width=8, embedding_dim=16),
        "objective": ObjectiveConfig(loss=SupCon(), miner=MinerConfig(name="none")),
        "batch": BatchConfig(classes=6, samples=3),
        "optimizer": OptimizerConfig(learning_rate=3e-3, average_decay=0.9),
        "budget": BudgetConfig(steps=12, report_every=4),
        "evaluation": EvaluationConfig(way=5, episodes=50),
        "compute": ComputeConfig(precision="fp32", threads=1),
    }
    return Recipe(**(values | changes))  # type: ignore[arg-type]  # each test names its sections
