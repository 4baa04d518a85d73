"""Lake's one-shot runs: fixed decisions as files, `run01/{training,test,class_labels.txt}`.

Each run holds one image of each of N new classes in `training`, images to recognise in `test`, and
lines `run01/test/item01.png run01/training/class17.png` that pair them. The published test is 20
runs of 20 decisions within one alphabet each; any number of runs of any size is read alike.

I images, C channels, S image side, D embedding, N classes and Q items of a run.

Source: Lake, Salakhutdinov, Tenenbaum 2015: Human-level concept learning through probabilistic
program induction, Science 350; files and decisions of github.com/brendenlake/omniglot.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .data import DataError, Preprocessing
from .data.preprocessing import has_bright_border, invert
from .data.tree import FileEntry, list_tree

LABELS_FILE = "class_labels.txt"
RESAMPLES = 10_000
INK = 127
"""Brightness above which a pixel is ink, once the paper is dark."""
STROKE_SIZE = 105
"""Side at which the strokes are compared by the Hausdorff distance, Omniglot's own."""


@dataclass(frozen=True)
class Run:
    """The decisions of one run.

    Attributes:
        name: Of its folder.
        training: Index of the image of each class, shape (N,).
        test: Index of each item to recognise, shape (Q,).
        answer: Place in `training` of the right class of each item, shape (Q,).
    """

    name: str
    training: NDArray[np.int64]
    test: NDArray[np.int64]
    answer: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LakeRuns:
    """All runs of a folder.

    Attributes:
        images: uint8, shape (I, C, S, S), training and test images of all runs.
        runs: By name.
        digest: Hash of the pairs of files, 12 hexadecimal digits.
    """

    images: NDArray[np.uint8]
    runs: tuple[Run, ...]
    digest: str

    @property
    def num_decisions(self) -> int:
        """Items to recognise, over all runs."""
        return sum(len(run.test) for run in self.runs)


def load_runs(path: Path, preprocessing: Preprocessing) -> LakeRuns:
    """Read the runs in a folder or a zip, every image as an encoder sees it.

    Args:
        path: Holds the folders of the runs, perhaps within others.
        preprocessing: Of the encoder.

    Raises:
        DataError: There are no runs, or one is damaged; the message names the file.
    """
    tree = list_tree(path)
    by_parts = {entry.parts: entry for entry in tree.entries}
    lists = [entry for entry in tree.entries if entry.parts[-1] == LABELS_FILE]
    if not lists:
        raise DataError(
            f"--runs must hold folders such as run01 with {LABELS_FILE}, training and test, got "
            f"none in {path}; unpack all_runs.zip of Omniglot and name that folder"
        )
    images: list[NDArray[np.uint8]] = []
    runs: list[Run] = []
    sha = hashlib.sha256()
    with tree.reader() as read:

        def decoded(entry: FileEntry) -> int:
            try:
                with Image.open(BytesIO(read(entry))) as picture:
                    images.append(preprocessing.apply(picture))
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(
                    f"every image of a run must be readable, got {'/'.join(entry.parts)}: {error}"
                ) from error
            return len(images) - 1

        for entry in lists:
            pairs = _pairs(read(entry).decode(errors="replace"), entry, by_parts)
            sha.update("\n".join(f"{_file(one)} {_file(other)}" for one, other in pairs).encode())
            classes = list(dict.fromkeys(sorted(right.parts for _, right in pairs)))
            classes += sorted(
                parts
                for parts in by_parts
                if parts[:-1] == classes[0][:-1] and parts not in classes
            )
            place = {parts: number for number, parts in enumerate(classes)}
            training = [decoded(by_parts[parts]) for parts in classes]
            runs.append(
                Run(
                    entry.parts[-2],
                    np.array(training),
                    np.array([decoded(item) for item, _ in pairs]),
                    np.array([place[right.parts] for _, right in pairs]),
                )
            )
    return LakeRuns(np.stack(images), tuple(runs), sha.hexdigest()[:12])


def _file(entry: FileEntry) -> str:
    return "/".join(entry.parts[-3:])


def _pairs(
    text: str, labels: FileEntry, by_parts: dict[tuple[str, ...], FileEntry]
) -> list[tuple[FileEntry, FileEntry]]:
    """Test and training image of every decision."""
    above = labels.parts[:-2]  # paths in the file start with the folder of the run
    pairs: list[tuple[FileEntry, FileEntry]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        names = line.split()
        if not names:
            continue
        at = f"{'/'.join(labels.parts)}:{number}"
        if len(names) != 2:
            raise DataError(f"{at} must name a test and a training image, got {line!r}")
        found = []
        for name in names:
            entry = by_parts.get((*above, *name.split("/")))
            if entry is None:
                raise DataError(f"{at} must name images of the run, got {name}: it is missing")
            found.append(entry)
        pairs.append((found[0], found[1]))
    if len(pairs) < 2:
        name = "/".join(labels.parts)
        raise DataError(f"{name} must hold 2 decisions or more, got {len(pairs)}")
    return pairs


def score_runs(embeddings: Tensor, runs: LakeRuns) -> NDArray[np.float64]:
    """Accuracy of the nearest training image, one a run; a k-way tie counts 1/k.

    Args:
        embeddings: Of the images, as the encoder is used, shape (I, D); Euclidean distances.
        runs: What is decided.
    """
    shifted = (embeddings - embeddings[:1]).double()  # equal embeddings become exact zeros
    scores = []
    for run in runs.runs:
        test, training = (shifted[torch.from_numpy(index)] for index in (run.test, run.training))
        squares = training.square().sum(1)
        distances = torch.addmm(squares, test, training.T, alpha=-2.0)  # up to |test|^2
        scores.append(_accuracy(distances, run))
    return np.array(scores)


def _accuracy(distances: Tensor, run: Run) -> float:
    """Of the smallest distance in each row, (Q, N)."""
    is_nearest = distances == distances.amin(1, keepdim=True)
    right = is_nearest.gather(1, torch.from_numpy(run.answer)[:, None].to(distances.device))
    return float((right[:, 0].double() / is_nearest.sum(1)).mean())


def modified_hausdorff(runs: LakeRuns) -> NDArray[np.float64]:
    """Accuracy of the modified Hausdorff distance between strokes, one a run; no learning.

    d(A, B) = max( mean_a min_b |a - b|, mean_b min_a |b - a| )

    over the places of the ink, their mean subtracted.

    Args:
        runs: Grey, with dark paper.

    Source: Dubuisson, Jain 1994: A modified Hausdorff distance for object matching; as the
    baseline of the Omniglot repository, which states 38.8 % error on its runs.
    """
    from scipy.spatial import KDTree

    trees = []
    for image in runs.images:
        places = np.argwhere(image[0] > INK).astype(np.float64)
        places = places if len(places) else np.zeros((1, 2))
        trees.append(KDTree(places - places.mean(0)))
    scores = []
    for run in runs.runs:
        distances = torch.empty(len(run.test), len(run.training), dtype=torch.float64)
        for row, item in enumerate(run.test):
            for column, known in enumerate(run.training):
                there, _ = trees[known].query(trees[item].data)
                back, _ = trees[item].query(trees[known].data)
                distances[row, column] = max(float(there.mean()), float(back.mean()))
        scores.append(_accuracy(distances, run))
    return np.array(scores)


def run_score(accuracies: NDArray[np.float64], *, seed: int = 0) -> dict[str, Any]:
    """Mean over runs and its 95 % interval by a bootstrap over whole runs.

    The decisions of a run share its alphabet, so they are no separate draws.

    Args:
        accuracies: One a run.
        seed: Of the resampling.

    Returns:
        `one_shot_accuracy` and `interval`; the latter None for a single run.
    """
    mean = float(accuracies.mean())
    if len(accuracies) < 2:
        return {"one_shot_accuracy": mean, "interval": None}
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(accuracies), (RESAMPLES, len(accuracies)))
    low, high = np.quantile(accuracies[drawn].mean(1), [0.025, 0.975])
    return {"one_shot_accuracy": mean, "interval": [float(low), float(high)]}


def run_baselines(path: Path) -> dict[str, dict[str, Any]]:
    """Pixel nearest neighbour (28 px) and modified Hausdorff distance (105 px) on the runs.

    Raises:
        DataError: As for `load_runs`.
    """
    small = _dark_paper(load_runs(path, Preprocessing(28, "grey", invert=False)))
    large = _dark_paper(load_runs(path, Preprocessing(STROKE_SIZE, "grey", invert=False)))
    pixels = torch.from_numpy(small.images.reshape(len(small.images), -1) / 255.0)
    return {
        "pixel_1nn": run_score(score_runs(pixels, small)),
        "modified_hausdorff": run_score(modified_hausdorff(large)),
    }


def _dark_paper(runs: LakeRuns) -> LakeRuns:
    is_bright = has_bright_border(runs.images)
    return LakeRuns(invert(runs.images) if is_bright else runs.images, runs.runs, runs.digest)


def evaluate_on_runs(
    embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    preprocessing: Preprocessing,
    path: Path,
) -> dict[str, Any]:
    """The score of an encoder on the runs of a folder, with its interval and the baselines.

    Args:
        embed: Images (N, C, S, S) to embeddings (N, D), as a model's `network.embed`.
        preprocessing: Of its training data.
        path: As for `load_runs`.

    Returns:
        Plain data: `one_shot_accuracy`, `interval` (`interval_over` runs), `protocol`,
        `decisions`, `runs_hash`, `runs` (accuracy of each), `baselines`.

    Raises:
        DataError: As for `load_runs`.
    """
    runs = load_runs(path, preprocessing)
    embeddings = torch.from_numpy(embed(runs.images))
    described = describe_run_score(runs, score_runs(embeddings, runs))
    return {**described, "baselines": run_baselines(path)}


def describe_run_score(runs: LakeRuns, accuracies: NDArray[np.float64]) -> dict[str, Any]:
    """The score of an encoder on the runs, as plain data.

    Args:
        runs: What was scored.
        accuracies: From `score_runs`.
    """
    ways = sorted({len(run.training) for run in runs.runs})
    way = str(ways[0]) if len(ways) == 1 else f"{ways[0]} to {ways[-1]}"
    return {
        **run_score(accuracies),
        "interval_over": "runs",
        "protocol": f"{way}-way 1-shot, {len(runs.runs)} fixed runs",
        "decisions": runs.num_decisions,
        "runs_hash": runs.digest,
        "runs": {
            run.name: float(accuracy) for run, accuracy in zip(runs.runs, accuracies, strict=True)
        },
    }
