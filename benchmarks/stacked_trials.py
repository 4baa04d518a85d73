"""Trials per hour when several trials of one shape are trained together in one process.

The forward and backward pass of T encoders, three ways, in turns:

- `separate`: one after the other, as T processes with a core each do at the same time;
- `grouped`: one network whose convolutions have T groups and whose head is a batched product;
- `vmap`: `torch.func` over the stacked parameters (batch normalisation keeps no statistics there,
  which makes it a little cheaper than the others).

The ratio is seconds(separate) / seconds(together) on the same cores: above 1, training together
finishes more trials per hour. On one core it is an upper bound for more cores, where a process of
several threads scales worse than several processes.

    python benchmarks/stacked_trials.py [--json] [--trials 2 4] [--sizes 28 48] [--seconds 10]
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from tripletune.spaces import Conv4
from tripletune.trainables import default_device
from tripletune.trainables.allocator import keep_freed_memory
from tripletune.trainables.encoders import ENCODERS

WIDTH, DIM, BATCH = 64, 64, 128
LEAST_TURNS = 3


class GroupedConv4(nn.Module):
    """T Conv4 side by side: channels of trial t are the t-th group."""

    def __init__(self, trials: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([1, WIDTH, WIDTH, WIDTH, WIDTH]):
            convolution = nn.Conv2d(
                trials * inputs, trials * outputs, 3, padding=1, bias=False, groups=trials
            )
            layers += [
                convolution,
                nn.BatchNorm2d(trials * outputs),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Parameter(torch.randn(trials, WIDTH * (image_size // 16) ** 2, DIM) * 0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (T, B, D) of images (B, T, S, S): a channel a trial."""
        features = self.body(images)  # (B, T * W, s, s)
        by_trial = features.unflatten(1, (len(self.head), WIDTH)).flatten(2).transpose(0, 1)
        return by_trial @ self.head


def steps_of(trials: int, image_size: int, device: torch.device) -> dict[str, Callable[[], None]]:
    """One step of T encoders in each way."""
    config = Conv4(width=WIDTH, embedding_dim=DIM)
    layout = torch.channels_last
    networks = [
        ENCODERS["conv4"](config, 1, image_size).to(device).to(memory_format=layout)
        for _ in range(trials)
    ]
    images = torch.rand(trials, BATCH, 1, image_size, image_size, device=device)
    grouped = GroupedConv4(trials, image_size).to(device).to(memory_format=layout)
    side_by_side = images[:, :, 0].transpose(0, 1).contiguous(memory_format=layout)  # (B, T, S, S)
    without = [copy.deepcopy(network) for network in networks]
    for network in without:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = module.running_var = None
                module.num_batches_tracked = None
                module.track_running_stats = False
            elif isinstance(module, nn.ReLU):
                module.inplace = False
    parameters, buffers = stack_module_state(without)
    skeleton = copy.deepcopy(without[0]).to("meta")

    def call(weights: dict[str, Tensor], state: dict[str, Tensor], batch: Tensor) -> Tensor:
        result: Tensor = functional_call(skeleton, (weights, state), (batch,))
        return result

    def separate() -> None:
        for network, batch in zip(networks, images, strict=True):
            network.zero_grad(set_to_none=True)
            network(batch.contiguous(memory_format=layout)).square().mean().backward()

    def together() -> None:
        grouped.zero_grad(set_to_none=True)
        grouped(side_by_side).square().mean().backward()

    def mapped() -> None:
        for value in parameters.values():
            value.grad = None
        vmap(call)(parameters, buffers, images).square().mean().backward()

    return {"separate": separate, "grouped": together, "vmap": mapped}


def compare(trials: int, image_size: int, limit_s: float) -> dict[str, float]:
    """Median milliseconds of each way, and the ratios to `separate`."""
    device = default_device()
    steps = steps_of(trials, image_size, device)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    end = time.perf_counter() + limit_s
    while len(times["vmap"]) < LEAST_TURNS or time.perf_counter() < end:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {
        f"{name}_over_separate": round(medians["separate"] / medians[name], 2)
        for name in ("grouped", "vmap")
    }
    rounded = {f"{name}_ms": round(1e3 * value, 1) for name, value in medians.items()}
    return {"trials": trials, "image_size": image_size, **rounded, **ratios}


def main() -> None:
    """Print a row a size and number of trials."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--trials", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 48])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    rows = []
    for size in arguments.sizes:
        for trials in arguments.trials:
            rows.append(compare(trials, size, arguments.seconds))
            if not arguments.json:
                print("  ".join(f"{k} {v:g}" for k, v in rows[-1].items()), flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
