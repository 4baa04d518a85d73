"""Runs in the layout of Omniglot's one-shot test."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

Drawing = np.ndarray
"""uint8, (S, S): black ink on white paper."""


def write_runs(
    folder: Path, runs: Sequence[tuple[Sequence[Drawing], Sequence[Drawing]]], *, seed: int = 0
) -> Path:
    """Write `run01/{training,test,class_labels.txt}` and so on.

    Args:
        folder: Where to.
        runs: Of each run, one drawing a class, and one more a class in the same order; in the
            files both are shuffled.
        seed: Of the shuffling.
    """
    random = np.random.default_rng(seed)
    for number, (known, asked) in enumerate(runs, start=1):
        run = folder / f"run{number:02d}"
        class_place, item_place = (random.permutation(len(known)) for _ in range(2))
        for side, drawings, places, name in (
            ("training", known, class_place, "class"),
            ("test", asked, item_place, "item"),
        ):
            (run / side).mkdir(parents=True)
            for drawing, place in zip(drawings, places, strict=True):
                Image.fromarray(drawing).save(run / side / f"{name}{place + 1:02d}.png")
        lines = [
            f"run{number:02d}/test/item{item_place[index] + 1:02d}.png "
            f"run{number:02d}/training/class{class_place[index] + 1:02d}.png"
            for index in random.permutation(len(known))
        ]
        (run / "class_labels.txt").write_text("\n".join(lines) + "\n")
    return folder


def strokes(num_classes: int, *, seed: int = 0, size: int = 40) -> tuple[list[Drawing], ...]:
    """One drawing of each class and a moved copy: a few random lines each."""
    random = np.random.default_rng(seed)
    known: list[Drawing] = []
    asked: list[Drawing] = []
    for _ in range(num_classes):
        points = random.integers(6, size - 6, (5, 2))
        for drawings, shift in ((known, 0), (asked, 3)):
            drawing = np.full((size, size), 255, np.uint8)
            for one, other in pairwise(points):
                for share in np.linspace(0, 1, 60):
                    row, column = (one + share * (other - one)).astype(int) + shift
                    drawing[row, column] = 0
            drawings.append(drawing)
    return known, asked
