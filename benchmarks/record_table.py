"""Records learning curves of many recipes of the preset omniglot, smaller: a table to search in.

Trains recipes of the space below one after another on one core, each to the end of its budget and
without early stopping, and writes after each: what was drawn, accuracy at every report on
validation classes, the score of every episode, seconds, collapse. `search_efficiency.py` replays
searches on it.

Recipes are random draws; the loss families take turns, so that each has as many. The first one is
the middle of the space. Seconds are CPU seconds of the process, so that they hold on a machine
that others use too; loading the data is not in them. A run that is stopped goes on with the next
recipe.

    OMP_NUM_THREADS=1 nice -n 19 python benchmarks/record_table.py --recipes 300
    python benchmarks/record_table.py --pack      # what there is, into the compressed table
"""

import argparse
import base64
import json
import lzma
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tripletune.spaces import Choice, Distribution, Int, LogUniform, Recipe, Space, Uniform, Value
from tripletune.trainables import (
    ImageSet,
    PreparedData,
    Trial,
    load_trial_data,
    prepare,
)
from tripletune.trainables import trial as trial_module

TABLES = Path(__file__).parent / "tables"
OPEN, PACKED = TABLES / "omniglot.jsonl", TABLES / "omniglot.jsonl.xz"

SMALLER = {
    "data.image_size": 28,
    "budget.steps": 432,
    "budget.report_every": 16,
    "evaluation.episodes": 600,
    "compute.precision": "fp32",
    "compute.threads": 1,
    "compute.compile": "off",
}
IMAGES_OF_A_VALIDATION_CLASS = 10

FAMILIES = ("contrastive", "supcon", "triplet", "nt_xent", "soft_nearest_neighbor", "sigmoid_pair")


def small_space() -> Space:
    """The preset at the table's size."""
    return Space.load("omniglot").with_values(SMALLER)


# ---------------------------------------------------------------- the file


def read(space: Space) -> dict[int, dict[str, Any]]:
    """Rows by recipe number, of the packed table and of the file that is still written to.

    Raises:
        SystemExit: If they were recorded from another space.
    """
    rows: dict[int, dict[str, Any]] = {}
    for path, opened in ((PACKED, lzma.open), (OPEN, open)):
        if not path.exists():
            continue
        with opened(path, "rt") as file:
            lines = [line for line in file if line.endswith("\n")]  # a cut-off line has none
        if json.loads(lines[0])["space"] != space.text:
            raise SystemExit(f"{path} was recorded from another space: remove it, or undo that")
        rows |= {row["number"]: row for row in map(json.loads, lines[1:])}
    return rows


def append(row: dict[str, Any], space: Space) -> None:
    """Write one row; the file begins with the space. Half a line of an earlier run is cut off."""
    if OPEN.exists():
        content = OPEN.read_bytes()
        if not content.endswith(b"\n"):
            OPEN.write_bytes(content[: content.rfind(b"\n") + 1])
    is_new = not OPEN.exists()
    with OPEN.open("a") as file:
        if is_new:
            file.write(json.dumps({"space": space.text}) + "\n")
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def pack(space: Space) -> int:
    """Move all rows into the compressed table; returns how many it holds."""
    rows = read(space)
    part = PACKED.with_suffix(".part")
    with lzma.open(part, "wt", preset=9) as file:
        file.write(json.dumps({"space": space.text}) + "\n")
        for _, row in sorted(rows.items()):
            file.write(json.dumps(row) + "\n")
    part.replace(PACKED)
    return len(rows)


# ---------------------------------------------------------------- the recipes


def drawn(number: int, space: Space) -> tuple[dict[str, Value], Recipe]:
    """Parameters and recipe of a number; the same at every call."""
    values: dict[str, Value] = {}
    random = np.random.default_rng((number, 432))

    def choose(name: str, distribution: Distribution) -> Value:
        values[name] = distribution.middle if number == 0 else draw(name, distribution)
        return values[name]

    def draw(name: str, distribution: Distribution) -> Value:
        if name == "objective":
            return FAMILIES[number % len(FAMILIES)]
        match distribution:
            case Uniform(low=low, high=high):
                return float(random.uniform(low, high))
            case LogUniform(low=low, high=high):
                return float(np.exp(random.uniform(np.log(low), np.log(high))))
            case Int(low=low, high=high, step=step):
                return int(random.integers(0, (high - low) // step + 1)) * step + low
            case Choice(values=options):
                return options[int(random.integers(len(options)))]

    recipe = space.build(choose)
    return values, recipe


# ---------------------------------------------------------------- the trials


def find_archive() -> Path:
    """Omniglot's background set.

    Raises:
        SystemExit: If it is not there.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("TRIPLETUNE_TEST_DATA", default))
    archive = data / "omniglot" / "images_background.zip"
    if not archive.is_file():
        raise SystemExit(f"no Omniglot at {archive}; set TRIPLETUNE_TEST_DATA")
    return archive


def load(space: Space) -> PreparedData:
    """Training alphabets whole; of every validation class the first few images."""
    config = space.data_configs()[0]
    archive = config.model_copy(update={"name": "folder", "path": str(find_archive())})
    data = load_trial_data(archive)
    recipe = space.build(lambda _, distribution: distribution.middle)
    data = replace(data, validation=fewer(data.validation))
    return prepare(data, recipe.evaluation, torch.device("cpu"))


def fewer(images: ImageSet) -> ImageSet:
    """The first images of every class."""
    counts = np.bincount(images.labels)
    place = np.arange(len(images.labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < IMAGES_OF_A_VALIDATION_CLASS
    return replace(images, images=images.images[kept], labels=images.labels[kept])


@contextmanager
def episode_scores() -> Iterator[list[np.ndarray]]:
    """Collects what every evaluation scored, episode by episode."""
    found: list[np.ndarray] = []
    plain: Callable[..., np.ndarray] = trial_module.score_episodes

    def keeping(*arguments: Any) -> np.ndarray:
        found.append(plain(*arguments))
        return found[-1]

    vars(trial_module)["score_episodes"] = keeping
    try:
        yield found
    finally:
        vars(trial_module)["score_episodes"] = plain


def record(number: int, space: Space, prepared: PreparedData) -> dict[str, Any]:
    """Train one recipe to its end.

    Returns:
        Its row. `scores` holds the right answers of every episode as one byte each, report by
        report, in base 64; ties are rounded.
    """
    values, recipe = drawn(number, space)
    curve: list[dict[str, Any]] = []
    failure = None
    begin = time.process_time()
    queries = recipe.evaluation.way * recipe.evaluation.queries
    with episode_scores() as scores:
        try:
            trial = Trial(recipe, prepared)
            while not trial.is_done:
                trial.train_to_report()
                report = trial.evaluate()
                curve.append(
                    {
                        "step": report.step,
                        "accuracy": round(report.one_shot_accuracy, 6),
                        "seconds": round(time.process_time() - begin, 3),
                        "spread": round(report.spread, 4),
                        "is_collapsed": report.is_collapsed,
                    }
                )
        except FloatingPointError as error:
            failure = str(error)
        seconds = time.process_time() - begin
    right = np.rint(np.array(scores[: len(curve)]) * queries).astype(np.uint8)
    return {
        "number": number,
        "values": values,
        "failure": failure,
        "seconds": round(seconds, 3),
        "curve": curve,
        "scores": base64.b64encode(right.tobytes()).decode(),
    }


def main() -> int:
    """Record what is missing, or pack what there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipes", type=int, default=300, help="how many there shall be")
    parser.add_argument("--pack", action="store_true", help="write the compressed table, and end")
    arguments = parser.parse_args()
    space = small_space()
    TABLES.mkdir(exist_ok=True)
    if arguments.pack:
        print(f"{pack(space)} recipes, {PACKED.stat().st_size / 1e6:.2f} MB in {PACKED}")
        return 0
    known = read(space)
    missing = [number for number in range(arguments.recipes) if number not in known]
    torch.set_num_threads(1)
    prepared = load(space)
    # The first trial of a process pays for imports; that is no part of a recipe.
    Trial(drawn(0, space)[1], prepared).train(1)
    for number in missing:
        row = record(number, space, prepared)
        append(row, space)
        last = row["curve"][-1] if row["curve"] else {"accuracy": float("nan")}
        print(
            f"{number:4d} {row['values']['objective']:22} {last['accuracy']:.3f} "
            f"{row['seconds']:6.1f} s {row['failure'] or ''}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
