"""The same training as a user would write it, and as this project does it, a process each.

The naive side is plain PyTorch: fp32, a `Dataset` that decodes the files with Pillow, transforms
of torchvision, a `DataLoader` with a worker a core, and loss, miner and sampler of
pytorch-metric-learning. Encoder, batch, loss and optimiser are the same on both sides, and so are
the files.

Each side is a process of its own (allocator, threads and precision of one must not help the
other), which trains so many steps at a line `N` on its standard input and answers with the
seconds. In between it is stopped with all its workers, so that the sides do not disturb each other
and no batch is made ahead in the other's time.

    python benchmarks/naive_training.py [--json] [--image-size 28] [--seconds 20] [--threads 2]
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLASSES, SAMPLES = 32, 4
STORED_SIZE = 105
"""Pixels of the files, as Omniglot's."""


def write_files(folder: Path, size: int = STORED_SIZE, most_classes: int = 400) -> None:
    """The built-in characters as `GROUP/CLASS/image.png`."""
    from PIL import Image

    from tripletune.spaces import DataConfig
    from tripletune.trainables import load_trial_data

    data = load_trial_data(DataConfig(image_size=size)).train
    for index, (pixels, label) in enumerate(zip(data.images, data.labels, strict=True)):
        if label < most_classes:
            path = folder / data.classes[label] / f"{index:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0]).save(path)


def naive(folder: Path, image_size: int, threads: int) -> Callable[[int], None]:
    """A user's training loop; gives a function that trains a number of steps."""
    import torch
    from PIL import Image
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner
    from pytorch_metric_learning.samplers import MPerClassSampler
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from tripletune.spaces import Conv4
    from tripletune.trainables.encoders import ENCODERS

    torch.set_num_threads(threads)
    files = sorted(folder.rglob("*.png"))
    names = sorted({str(path.parent) for path in files})
    labels = [names.index(str(path.parent)) for path in files]
    transform = transforms.Compose(
        [
            transforms.Resize((image_size, image_size)),
            transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.85, 1.15), shear=11),
            transforms.ToTensor(),
            transforms.Normalize([0.1], [0.3]),
        ]
    )

    class Files(Dataset[Any]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            with Image.open(files[index]) as image:
                return transform(image.convert("L")), labels[index]

    batch = CLASSES * SAMPLES
    sampler = MPerClassSampler(labels, SAMPLES, batch, length_before_new_iter=batch * 10_000)
    loader = DataLoader(
        Files(), batch, sampler=sampler, num_workers=threads, persistent_workers=True
    )
    encoder = ENCODERS["conv4"](Conv4(width=64, embedding_dim=64), 1, image_size)
    loss, miner = TripletMarginLoss(margin=0.2), TripletMarginMiner(0.2, "semihard")
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3, weight_decay=1e-4)
    batches = iter(loader)

    def train(steps: int) -> None:
        for _ in range(steps):
            images, targets = next(batches)
            embeddings = encoder(images)
            value = loss(embeddings, targets, miner(embeddings, targets))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    return train


def ours(folder: Path, image_size: int, threads: int) -> Callable[[int], None]:
    """The trial of the same recipe."""
    from tripletune.spaces import (
        BatchConfig,
        ComputeConfig,
        Conv4,
        DataConfig,
        EvaluationConfig,
        MinerConfig,
        ObjectiveConfig,
        Recipe,
        Triplet,
    )
    from tripletune.trainables import Trial, default_device, load_trial_data, prepare

    recipe = Recipe(
        data=DataConfig(name="folder", path=str(folder), image_size=image_size),
        encoder=Conv4(width=64, embedding_dim=64),
        objective=ObjectiveConfig(loss=Triplet(margin=0.2), miner=MinerConfig(name="semi_hard")),
        batch=BatchConfig(classes=CLASSES, samples=SAMPLES),
        evaluation=EvaluationConfig(way=5, within="any"),
        compute=ComputeConfig(threads=threads),
    )
    data = load_trial_data(recipe.data)
    return Trial(recipe, prepare(data, recipe.evaluation, default_device())).train


SIDES = {"naive": naive, "ours": ours}


def serve(side: str, folder: Path, image_size: int, threads: int) -> None:
    """Train at a line, answer with the seconds, end with the input."""
    train = SIDES[side](folder, image_size, threads)
    train(2)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        train(int(line))
        print(time.perf_counter() - start, flush=True)


@contextmanager
def process(side: str, folder: Path, image_size: int, threads: int) -> Iterator[Any]:
    """A process that serves one side."""
    command = [sys.executable, __file__, "--serve", side, "--folder", str(folder)]
    command += ["--image-size", str(image_size), "--threads", str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        os.killpg(child.pid, signal.SIGCONT)
        child.stdin.close()
        child.wait()


def answer(child: Any) -> str:
    """The next line of a process."""
    line: str = child.stdout.readline()
    if not line:
        raise RuntimeError(f"a side of the benchmark ended with status {child.wait()}")
    return line


def compare(image_size: int, threads: int, limit_s: float, steps: int = 8) -> dict[str, float]:
    """Images/s of both sides, and the ratio of their medians, in turns of a few steps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        write_files(folder)
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        with (
            process("naive", folder, image_size, threads) as first,
            process("ours", folder, image_size, threads) as second,
        ):
            children = {"naive": first, "ours": second}
            for child in children.values():
                answer(child)
                os.killpg(child.pid, signal.SIGSTOP)
            end = time.perf_counter() + limit_s
            while len(times["ours"]) < 3 or time.perf_counter() < end:
                for side, child in children.items():
                    os.killpg(child.pid, signal.SIGCONT)
                    child.stdin.write(f"{steps}\n")
                    child.stdin.flush()
                    times[side].append(float(answer(child)))
                    os.killpg(child.pid, signal.SIGSTOP)
    median = {side: statistics.median(values) for side, values in times.items()}
    images = CLASSES * SAMPLES * steps
    return {
        "naive_images_per_second": round(images / median["naive"]),
        "ours_images_per_second": round(images / median["ours"]),
        "step_over_naive": round(median["naive"] / median["ours"], 2),
        "turns": len(times["ours"]),
    }


def main() -> None:
    """Compare, or serve one side."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--image-size", type=int, default=28)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--serve", choices=sorted(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.folder, arguments.image_size, arguments.threads)
        return
    row = compare(arguments.image_size, arguments.threads, arguments.seconds)
    print(json.dumps(row) if arguments.json else "  ".join(f"{k} {v:g}" for k, v in row.items()))


if __name__ == "__main__":
    main()
