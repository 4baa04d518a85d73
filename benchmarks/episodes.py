"""Seconds for 10,000 one-shot episodes with their interval, against easyfsl's sampler.

Both draw the episodes, score each by the nearest class mean and give the mean accuracy with its
95 % interval, from the same embeddings. easyfsl is used as its README shows: `TaskSampler` feeding
a `DataLoader` with its collate function, its `PrototypicalNetworks` on a `FeaturesDataset`. Its
sampler hands `data_source` to PyTorch's `Sampler`, which takes it no more: that call is patched
here, and nothing else. It is run on fewer episodes and scaled, since it takes
minutes; each of its episodes costs the same. It gets one thread, with which it is fastest: its
operations are too small to share.

    pip install easyfsl
    python benchmarks/episodes.py [--json] [--episodes 10000] [--threads 2] [--turns 5]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tripletune.spaces import EvaluationConfig
from tripletune.trainables import ImageSet
from tripletune.trainables.episodes import draw_episodes, score_episodes
from tripletune.trainables.evaluation import Score, mean_with_interval

IMAGES, CLASSES, DIM = 5000, 250, 64


def embedded_set() -> tuple[ImageSet, Tensor]:
    """5,000 unit vectors of 64 numbers around the centres of 250 classes, and their labels."""
    labels = np.repeat(np.arange(CLASSES), IMAGES // CLASSES)
    data = ImageSet(
        images=np.zeros((IMAGES, 1, 1, 1), np.uint8),
        labels=labels,
        classes=tuple(f"class {number}" for number in range(CLASSES)),
        groups=("all",),
        group_of_class=np.zeros(CLASSES, np.int64),
    )
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, DIM, generator=generator)[torch.from_numpy(labels)]
    noise = torch.randn(IMAGES, DIM, generator=generator)
    return data, normalize(centres + 1.2 * noise, dim=1)


def score_with_tripletune(data: ImageSet, embeddings: Tensor, config: EvaluationConfig) -> Score:
    """Draw and score all episodes."""
    return mean_with_interval(score_episodes(embeddings, draw_episodes(data, config)))


def score_with_easyfsl(data: ImageSet, embeddings: Tensor, config: EvaluationConfig) -> Score:
    """The loop of easyfsl's README, one episode at a time."""
    from easyfsl.datasets import FeaturesDataset
    from easyfsl.methods import PrototypicalNetworks
    from easyfsl.samplers import TaskSampler
    from torch.utils.data import DataLoader, Sampler

    def without_source(sampler: Any, data_source: Any = None) -> None:
        """What TaskSampler still calls with an argument that object.__init__ refuses."""

    dataset = FeaturesDataset(data.labels.tolist(), embeddings, list(data.classes))
    with patch.object(Sampler, "__init__", without_source):
        sampler = TaskSampler(dataset, config.way, config.shot, config.queries, config.episodes)
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
    model = PrototypicalNetworks().eval()
    scores = []
    torch.set_num_threads(1)
    with torch.no_grad():
        for support, support_labels, query, query_labels, _ in loader:
            model.process_support_set(support, support_labels)
            answers = model(query).argmax(1)
            scores.append(float((answers == query_labels).double().mean()))
    return mean_with_interval(np.array(scores))


def seconds(run: Callable[[], Score]) -> tuple[float, Score]:
    """Wall-clock seconds of a call, and what it gave."""
    start = time.perf_counter()
    score = run()
    return time.perf_counter() - start, score


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--easyfsl-episodes", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data, embeddings = embedded_set()
    config = EvaluationConfig(
        way=20,
        shot=arguments.shot,
        queries=arguments.queries,
        episodes=arguments.episodes,
        within="any",
    )
    few = config.model_copy(update={"episodes": arguments.easyfsl_episodes})
    scale = arguments.episodes / arguments.easyfsl_episodes
    score_with_tripletune(data, embeddings, few)
    ours, theirs = [], []
    for _ in range(arguments.turns):  # in turns, so that both see the same machine
        our_seconds, our_score = seconds(lambda: score_with_tripletune(data, embeddings, config))
        their_seconds, their_score = seconds(lambda: score_with_easyfsl(data, embeddings, few))
        torch.set_num_threads(arguments.threads)
        ours.append(our_seconds)
        theirs.append(their_seconds * scale)
    ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    result = {
        "episodes_10000_s": round(statistics.median(ours) * 10_000 / arguments.episodes, 4),
        "easyfsl_10000_s": round(statistics.median(theirs) * 10_000 / arguments.episodes, 2),
        "over_easyfsl": round(ratio, 1),
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for name, score in (("tripletune", our_score), ("easyfsl", their_score)):
        print(
            f"{name:10} accuracy {score.one_shot_accuracy:.4f} [{score.low:.4f}, {score.high:.4f}]"
        )
    print(
        f"10,000 episodes of 20-way {config.shot}-shot, {config.queries} queries a class: "
        f"{result['episodes_10000_s']:.3f} s, easyfsl {result['easyfsl_10000_s']:.1f} s "
        f"({arguments.easyfsl_episodes} episodes, scaled): {result['over_easyfsl']:.0f} times"
    )


if __name__ == "__main__":
    main()
