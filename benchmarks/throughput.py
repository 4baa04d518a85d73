"""What a trial costs beside its encoder's arithmetic, and how many trials an hour that makes.

    python benchmarks/throughput.py --quick --json      # under two minutes
    python benchmarks/throughput.py                     # longer turns, steadier ratios
    python benchmarks/throughput.py --search 30         # stock Ray Tune and ours, 30 minutes each

Everything is a ratio of two things measured in turns, or a time of this machine:

- `step_over_bare`: images/s of a training step over those of the encoder's forward and backward in
  the same precision and batch (128; 32 for ResNet-18 with `--quick`).
- `step_over_naive`: images/s of a training step over those of a user's loop (`naive_training.py`).
- `trial_start_s`: from the end of a trial to the first step of the next one in the same process.
- `episodes_10000_s`: 10,000 20-way 1-shot episodes drawn and scored with their interval, on 5,000
  embeddings of 64 numbers.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any

import naive_training
import search_rates
import training_step
import trial_start


def step_over_bare(threads: int, *, is_quick: bool) -> dict[str, float]:
    """Ratios of Conv4 at 28, 48 and 84 pixels and of ResNet-18 at 84."""
    from tripletune.spaces import ResNet18

    ratios = {}
    limit_s = 4.0 if is_quick else 30.0
    for size in (28, 48, 84):
        recipe = training_step.recipe_of(size, "supcon", threads)
        prepared = training_step.prepared_for(recipe)
        row = training_step.compare(recipe, prepared, limit_s)
        ratios[f"conv4_{size}"] = row["step_over_bare"]
    recipe = training_step.recipe_of(
        84, "supcon", threads, ResNet18(), classes=8 if is_quick else 32
    )
    prepared = training_step.prepared_for(recipe)
    ratios["resnet18_84"] = training_step.compare(recipe, prepared, limit_s)["step_over_bare"]
    return ratios


def episodes_seconds(threads: int, turns: int = 5) -> float:
    """Median seconds of drawing and scoring 10,000 episodes."""
    import numpy as np
    import torch
    from torch.nn.functional import normalize

    from tripletune.spaces import EvaluationConfig
    from tripletune.trainables import ImageSet
    from tripletune.trainables.episodes import draw_episodes, score_episodes
    from tripletune.trainables.evaluation import mean_with_interval

    torch.set_num_threads(threads)
    images, classes, dim = 5000, 250, 64
    data = ImageSet(
        images=np.zeros((images, 1, 1, 1), np.uint8),
        labels=np.repeat(np.arange(classes), images // classes),
        classes=tuple(str(number) for number in range(classes)),
        groups=("all",),
        group_of_class=np.zeros(classes, np.int64),
    )
    embeddings = normalize(torch.randn(images, dim, generator=torch.Generator().manual_seed(0)))
    config = EvaluationConfig(way=20, shot=1, queries=1, episodes=10_000, within="any")
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        mean_with_interval(score_episodes(embeddings, draw_episodes(data, config)))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(threads: int, *, is_quick: bool) -> dict[str, Any]:
    """All of the above."""
    naive = naive_training.compare(28, threads, limit_s=8.0 if is_quick else 60.0)
    starts = trial_start.measure(6 if is_quick else 24, concurrency=None)
    return {
        "step_over_bare": step_over_bare(threads, is_quick=is_quick),
        "step_over_naive": naive["step_over_naive"],
        "trial_start_s": round(starts["warm_median_s"], 3),
        "episodes_10000_s": round(episodes_seconds(threads), 3),
        "threads": threads,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--search", type=float, metavar="MINUTES", help="Of each search.")
    arguments = parser.parse_args()
    if arguments.search is not None:
        result = search_rates.compare(arguments.search)
    else:
        result = measure(arguments.threads, is_quick=arguments.quick)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        parts = value if isinstance(value, dict) else {"": value}
        for part, number in parts.items():
            print(f"{f'{name} {part}'.strip():32} {number:g}")


if __name__ == "__main__":
    main()
