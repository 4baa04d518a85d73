"""Images/s of a whole training step against the bare encoder's forward and backward.

The step draws, gathers, turns and augments its batch, computes loss and miner, and updates weights
and their average; the bare encoder sees one fixed batch in the same precision and layout. Both run
step by step in turns in one process, so that both see the same machine; the ratio is that of the
medians.

    python benchmarks/training_step.py [--json] [--seconds 10] [--threads 1]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from tripletune.spaces import Conv4, EncoderConfig, Recipe, Space
from tripletune.trainables import PreparedData, Trial, default_device, load_trial_data, prepare
from tripletune.trainables.precision import autocast

CONV4 = Conv4(width=64, growth=1, pool="last", embedding_dim=64)
"""That of the few-shot papers."""

WARM_UP = 2
LEAST_TURNS = 3


def recipe_of(
    size: int, loss: str, threads: int, encoder: EncoderConfig = CONV4, classes: int = 32
) -> Recipe:
    """A recipe on the built-in data, batches of P x 4 with turned classes and all extras."""
    space = Space.load("omniglot").with_values(
        {
            "data.name": "glyphs",
            "data.path": None,
            "data.image_size": size,
            "data.split.by": "group",
            "objective": loss,
            "batch.classes": classes,
            "batch.samples": 4,
            "compute.threads": threads,
            # On a processor it would only wait for a compiler, to end as `off`.
            "compute.compile": "off" if default_device().type == "cpu" else "auto",
        }
    )
    recipe = space.build(lambda _, distribution: distribution.middle)
    return recipe.model_copy(update={"encoder": encoder})


def prepared_for(recipe: Recipe) -> PreparedData:
    """The recipe's data on the default device."""
    return prepare(load_trial_data(recipe.data), recipe.evaluation, default_device())


def seconds(run: Callable[[], None]) -> float:
    """Wall-clock seconds of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(recipe: Recipe, prepared: PreparedData, limit_s: float) -> dict[str, float]:
    """Images/s of both, and their ratio, from as many turns as fit into `limit_s`."""
    trial, bare = Trial(recipe, prepared), Trial(recipe, prepared)
    precision = trial.recipe.compute.precision
    assert precision != "auto"  # a trial knows what it uses
    encoder = bare.training_encoder
    encoder.train()
    batch = prepared.train_images[: recipe.batch.size].to(prepared.device).float().div(255.0)

    def bare_step() -> None:
        with autocast(precision, batch.device):
            embeddings = bare._forward(batch)
        encoder.zero_grad(set_to_none=True)
        embeddings.float().square().mean().backward()
        if batch.device.type == "cuda":
            import torch

            torch.cuda.synchronize()

    for _ in range(WARM_UP):
        trial.train(1)
        bare_step()
    steps, bares = [], []
    end = time.perf_counter() + limit_s
    while len(steps) < LEAST_TURNS or time.perf_counter() < end:
        bares.append(seconds(bare_step))
        steps.append(seconds(lambda: trial.train(1)))
    step, plain = statistics.median(steps), statistics.median(bares)
    return {
        "step_images_per_second": round(recipe.batch.size / step),
        "bare_images_per_second": round(recipe.batch.size / plain),
        "step_over_bare": round(plain / step, 3),
        "turns": len(steps),
    }


def main() -> None:
    """Print one row an encoder, size and loss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="Of each row.")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    rows = []
    for size in (28, 48, 84):
        for loss in ("supcon", "triplet"):
            recipe = recipe_of(size, loss, arguments.threads)
            row = compare(recipe, prepared_for(recipe), arguments.seconds)
            rows.append({"encoder": "conv4", "image_size": size, "loss": loss, **row})
            if not arguments.json:
                rates = "  ".join(f"{name} {value:g}" for name, value in row.items())
                print(f"conv4-64 {size} px  {loss:8} {rates}", flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
