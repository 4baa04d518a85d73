"""Seconds of an identification among many: 1,000 queries, a gallery of 100,000 images.

    python benchmarks/recognizer.py [--names 20000] [--images 100000] [--queries 1000] [--dim 64]

Embeddings are random unit vectors: an exact search takes as long whatever they hold. Prints the
median and the slowest of five runs, and the seconds to save and to load the gallery, with its
bytes on the disk.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tripletune.trainables.gallery import Gallery, load_gallery


def unit_vectors(num: int, dim: int, seed: int) -> NDArray[np.float32]:
    """Random directions, (num, dim)."""
    vectors = np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=64)
    arguments = parser.parse_args()
    names = tuple(f"person {number}" for number in range(arguments.names))
    owners = np.random.default_rng(1).permutation(arguments.images) % arguments.names
    gallery = Gallery(names, owners, unit_vectors(arguments.images, arguments.dim, seed=2))
    queries = unit_vectors(arguments.queries, arguments.dim, seed=3)
    gallery.nearest(queries[:10])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        gallery.nearest(queries)
        seconds.append(time.perf_counter() - start)
    print(
        f"{arguments.queries} queries, {arguments.images} images of {arguments.names} names, "
        f"{arguments.dim} numbers: median "
        f"{statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery"
        start = time.perf_counter()
        gallery.save(path, "model")
        saved = time.perf_counter()
        load_gallery(path)
        print(
            f"saved in {saved - start:.2f} s, loaded in {time.perf_counter() - saved:.2f} s, "
            f"{path.stat().st_size / 2**20:.0f} MiB"
        )


if __name__ == "__main__":
    main()
