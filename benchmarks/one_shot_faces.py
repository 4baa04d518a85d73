"""One image each of 40 persons is enough: identification with an encoder that never saw a face.

    python benchmarks/one_shot_faces.py MODEL ATT_FACES [--draws 200] [--false-accept 0.05]

MODEL is an export whose encoder was searched on other data; ATT_FACES the folder (or the zip) of
the AT&T faces, s1 to s40 with ten images each. Two numbers are printed, each with a 95 % interval
over persons by a bootstrap, means over `--draws` random choices of the images that are enrolled:

- closed: all 40 persons are enrolled with one image each, and the other 360 images are asked
  about: the share whose nearest image is of the right person, whatever the distance;
- open: 20 random persons are enrolled with one image each: of the other 20, the share that comes
  back "unknown"; and of the enrolled, the share that is named rightly, not unknown.

Beside them stands the nearest neighbour in raw pixels after the same preprocessing.
"""

import argparse
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tripletune
from tripletune.trainables import Recognizer

NUM_BOOTSTRAP = 10_000


def read_faces(path: Path, model: tripletune.Recognizer) -> tuple[NDArray[np.uint8], list[str]]:
    """The faces as the model sees them, and whose they are."""
    with tempfile.TemporaryDirectory() as unpacked:
        root = path
        if path.is_file():
            with zipfile.ZipFile(path) as archive:
                archive.extractall(unpacked)
            root = Path(unpacked)
        files = sorted(root.rglob("s*/*.*g*"))
        persons = [file.parent.name for file in files]
        return np.stack([model.model.pixels(file) for file in files]), persons


def with_interval(values: NDArray[np.float64]) -> str:
    """The mean over persons and its 95 % interval, by a bootstrap over persons."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (NUM_BOOTSTRAP, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def closed(
    embeddings: NDArray[np.float32], persons: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Share of each person's other images that are named rightly, all persons enrolled."""
    enrolled = np.array([random.choice(np.flatnonzero(persons == one)) for one in range(40)])
    points = embeddings.astype(np.float64)
    squares = (points**2).sum(1)
    nearest = (squares[enrolled] - 2 * points @ points[enrolled].T).argmin(1)
    is_asked = ~np.isin(np.arange(len(persons)), enrolled)
    is_right = nearest == persons
    return np.array([is_right[is_asked & (persons == one)].mean() for one in range(40)])


def opened(
    recognizer: Recognizer,
    embeddings: NDArray[np.float32],
    persons: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each stranger the share "unknown", of each enrolled person the share named; else NaN."""
    known = random.permutation(40)[:20]
    recognizer.gallery = type(recognizer.gallery).empty(embeddings.shape[1])
    taken = set()
    for person in known:
        image = int(random.choice(np.flatnonzero(persons == person)))
        taken.add(image)
        recognizer.enrol_embeddings(f"s{person}", embeddings[image : image + 1])
    asked = np.array([image for image in range(len(persons)) if image not in taken])
    answers = recognizer.identify_embeddings(embeddings[asked])
    unknown, named = np.full(40, np.nan), np.full(40, np.nan)
    for person in range(40):
        own = [
            answer
            for image, answer in zip(asked, answers, strict=True)
            if persons[image] == person
        ]
        if person in known:
            named[person] = np.mean([answer.name == f"s{person}" for answer in own])
        else:
            unknown[person] = np.mean([answer.name is None for answer in own])
    return unknown, named


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--false-accept", type=float, default=None)
    arguments = parser.parse_args()
    recognizer = Recognizer(arguments.model, false_accept_rate=arguments.false_accept)
    pixels, names = read_faces(arguments.faces, recognizer)
    order = sorted(set(names))
    assert len(order) == 40, f"the AT&T faces have 40 persons, got {len(order)}"
    persons = np.array([order.index(name) for name in names])
    embeddings = recognizer.model.embed_pixels(pixels)
    raw = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    recipe = recognizer.model.recipe
    print(
        f"{recipe.objective.loss.name} on {recipe.encoder.name}, {recipe.data.image_size} px, "
        f"searched on {Path(recipe.data.path or recipe.data.name).name}; {len(names)} faces of 40 "
        f"persons, {arguments.draws} draws"
    )
    for title, points in (("model", embeddings), ("raw pixels", raw)):
        random = np.random.default_rng(0)
        shares = [closed(points, persons, random) for _ in range(arguments.draws)]
        print(f"closed, 40 enrolled by one image, {title}: {with_interval(np.mean(shares, 0))}")
    random = np.random.default_rng(1)
    both = [opened(recognizer, embeddings, persons, random) for _ in range(arguments.draws)]
    unknown = np.nanmean([one for one, _ in both], axis=0)
    named = np.nanmean([one for _, one in both], axis=0)
    print(
        f"open, 20 enrolled, {recognizer.false_accept_rate:.1%} of strangers meant to pass, "
        f"unknown from {recognizer.threshold:.4f} on:"
    )
    print(f"  never enrolled, answered unknown: {with_interval(unknown)}")
    print(f"  enrolled, named rightly:          {with_interval(named)}")


if __name__ == "__main__":
    main()
