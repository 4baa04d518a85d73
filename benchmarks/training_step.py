"""Images/s of a whole training step against the bare encoder's forward and backward.

The step draws, gathers, turns and augments its batch, computes loss and miner, and updates weights
and their average; the bare encoder sees one fixed batch in the same precision and layout. Both run
in turns in one process, and the ratio is the median over the turns.

    python benchmarks/training_step.py [--json] [--turns 7] [--steps 12] [--threads 1]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from tripletune.spaces import Recipe, Space
from tripletune.trainables import PreparedData, Trial, default_device, load_trial_data, prepare
from tripletune.trainables.precision import autocast

SIZES = (28, 32, 48)
LOSSES = ("supcon", "triplet")


def recipe_of(size: int, loss: str, threads: int) -> Recipe:
    """Conv4-64 on the built-in data, batches of 32 x 4 with turned classes and all extras."""
    space = Space.load("omniglot").with_values(
        {
            "data.name": "glyphs",
            "data.path": None,
            "data.image_size": size,
            "data.split.by": "group",
            "encoder.width": 64,
            "encoder.embedding_dim": 64,
            "objective": loss,
            "batch.classes": 32,
            "batch.samples": 4,
            "compute.threads": threads,
        }
    )
    return space.build(lambda _, distribution: distribution.middle)


def seconds(run: Callable[[], None]) -> float:
    """Wall-clock seconds of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(recipe: Recipe, prepared: PreparedData, steps: int, turns: int) -> dict[str, float]:
    """Images/s of both, and the median ratio of neighbouring turns."""
    trial, bare = Trial(recipe, prepared), Trial(recipe, prepared)
    precision = trial.recipe.compute.precision
    assert precision != "auto"  # a trial knows what it uses
    encoder = bare.training_encoder
    batch = prepared.train_images[: recipe.batch.size].float().div(255.0)

    def bare_steps() -> None:
        encoder.train()
        for _ in range(steps):
            with autocast(precision, batch.device):
                embeddings = encoder(batch)
            encoder.zero_grad(set_to_none=True)
            embeddings.float().square().mean().backward()
        if batch.device.type == "cuda":
            torch.cuda.synchronize()

    trial.train(2)
    bare_steps()
    images = steps * recipe.batch.size
    step_rates, bare_rates = [], []
    for _ in range(turns):
        bare_rates.append(images / seconds(bare_steps))
        step_rates.append(images / seconds(lambda: trial.train(steps)))
    ratios = [step / bare for step, bare in zip(step_rates, bare_rates, strict=True)]
    return {
        "step_images_per_second": round(statistics.median(step_rates)),
        "bare_images_per_second": round(statistics.median(bare_rates)),
        "step_over_bare": round(statistics.median(ratios), 3),
    }


def main() -> None:
    """Print one row a size and loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    rows = []
    for size in SIZES:
        for loss in LOSSES:
            recipe = recipe_of(size, loss, arguments.threads)
            prepared = prepare(load_trial_data(recipe.data), recipe.evaluation, default_device())
            row = compare(recipe, prepared, arguments.steps, arguments.turns)
            rows.append({"encoder": "conv4", "image_size": size, "loss": loss, **row})
            if not arguments.json:
                rates = "  ".join(f"{name} {value:g}" for name, value in row.items())
                print(f"conv4-64 {size} px  {loss:8} {rates}", flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
