"""What a GPU gives: images/s, share of its own ceilings, and trials per hour packed on it.

    python benchmarks/gpu.py [--json] [--seconds 20]     # on a machine with a GPU
    python benchmarks/gpu.py --dry-run                   # tiny sizes on a processor

- Ceilings are measured here: a large matrix product in the precision that the trial chose, and a
  copy within the memory.
- A training step's arithmetic is counted by torch's flop counter, its traffic by adding up what
  every operator reads and writes (an upper bound: caches and fused operators move less). The
  shares are both divided by the step's time and by the ceilings.
- Packed: so many processes with a trial each, all at once; trials per hour are their steps
  together over those of a trial's budget.
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import torch
import training_step
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from tripletune.spaces import Conv4, EncoderConfig, Recipe, ResNet18
from tripletune.trainables import Trial, default_device
from tripletune.trainables.gpu_memory import begin_peak, outside_bytes, peak_bytes
from tripletune.trainables.precision import DTYPES

PACKED = (1, 2, 4, 8, 16)
CONV4_SIZE, RESNET_SIZE = 84, 84
BUDGET_STEPS = 600
"""Of a trial, as the recipe's default."""


class ByteCounter(TorchDispatchMode):
    """Adds up what operators read and write; views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            leaves = tree_leaves((args, kwargs, result))
            tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
            self.total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def synchronise(device: torch.device) -> None:
    """Wait for all that was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fastest(run: Any, device: torch.device, turns: int = 10) -> float:
    """Least seconds of a few calls after a warm-up."""
    times = []
    for _ in range(turns + 2):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times[2:])


def ceilings(device: torch.device, dtype: torch.dtype, *, is_dry: bool) -> dict[str, float]:
    """Measured operations/s of a matrix product, and bytes/s of a copy."""
    side = 256 if is_dry else 8192
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    matmul = 2 * side**3 / fastest(lambda: left @ right, device)
    source = torch.zeros(2**20 if is_dry else 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = 2 * source.numel() / fastest(lambda: target.copy_(source), device)
    return {"matmul_flops_per_s": matmul, "copy_bytes_per_s": copy}


def recipe_of(name: str, *, is_dry: bool) -> Recipe:
    """The trial that is measured."""
    encoder: EncoderConfig = Conv4(width=8 if is_dry else 64, embedding_dim=64)
    size = 28 if is_dry else CONV4_SIZE
    if name == "resnet18":
        encoder, size = ResNet18(embedding_dim=64), 32 if is_dry else RESNET_SIZE
    return training_step.recipe_of(size, "supcon", 1, encoder, classes=4 if is_dry else 32)


def one_trial(name: str, limit_s: float, *, is_dry: bool) -> dict[str, Any]:
    """Images/s of a trial alone, and its shares of the ceilings."""
    recipe = recipe_of(name, is_dry=is_dry)
    prepared = training_step.prepared_for(recipe)
    device = prepared.device
    begin_peak(device)
    trial = Trial(recipe, prepared)
    compute = trial.recipe.compute
    trial.train(3)
    # Counted on a plain trial: what a graph replays, no counter sees.
    plain = Trial(
        trial.recipe.model_copy(update={"compute": compute.model_copy(update={"compile": "off"})}),
        prepared,
    )
    plain.train(1)
    flops = FlopCounterMode(display=False)
    with flops:
        plain.train(1)
    moved = ByteCounter()
    with moved:
        plain.train(1)
    steps = 0
    start = time.perf_counter()
    while time.perf_counter() - start < limit_s:
        trial.train(5)
        steps += 5
    step_s = (time.perf_counter() - start) / steps
    dtype = DTYPES.get(compute.precision, torch.float32)  # type: ignore[call-overload]  # auto is not there any more
    measured = ceilings(device, dtype, is_dry=is_dry)
    row: dict[str, Any] = {
        "image_size": recipe.data.image_size,
        "batch": recipe.batch.size,
        "precision": compute.precision,
        "compile": compute.compile,
        "images_per_second": round(recipe.batch.size / step_s),
        "matmul_share": round(
            flops.get_total_flops() / step_s / measured["matmul_flops_per_s"], 4
        ),
        "memory_share": round(moved.total / step_s / measured["copy_bytes_per_s"], 4),
        **{key: round(value) for key, value in measured.items()},
    }
    if device.type == "cuda":
        row["peak_bytes"] = peak_bytes(device)
        row["context_bytes"], row["total_bytes"] = outside_bytes(device)
    return row


def serve(name: str, *, is_dry: bool) -> None:
    """Train for the seconds of each line of the input; answer with the steps done."""
    recipe = recipe_of(name, is_dry=is_dry)
    trial = Trial(recipe, training_step.prepared_for(recipe))
    trial.train(3)
    print("ready", flush=True)
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        steps = 0
        while time.perf_counter() < end:
            trial.train(5)
            steps += 5
        print(steps, flush=True)


def packed(name: str, count: int, limit_s: float, *, is_dry: bool) -> dict[str, float]:
    """Trials per hour of so many processes together."""
    command = [sys.executable, __file__, "--serve", name]
    command += ["--dry-run"] if is_dry else []
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        try:
            ready = [_line(child) for child in children]
            if not all(ready):
                return {"trials_per_hour": float("nan")}  # they did not fit
            start = time.perf_counter()
            for child in children:
                assert child.stdin is not None
                child.stdin.write(f"{limit_s}\n")
                child.stdin.flush()
            steps = [int(_line(child) or 0) for child in children]
            seconds = time.perf_counter() - start
        finally:
            for child in children:
                assert child.stdin is not None
                child.stdin.close()
    return {"trials_per_hour": round(sum(steps) / seconds * 3600 / BUDGET_STEPS, 1)}


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0, help="Of each measurement.")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    is_dry = arguments.dry_run
    if arguments.serve:
        serve(arguments.serve, is_dry=is_dry)
        return
    if default_device().type != "cuda" and not is_dry:
        parser.error("no GPU is visible; --dry-run tries the script on a processor")
    limit_s = 1.0 if is_dry else arguments.seconds
    result: dict[str, Any] = {
        "device": "cpu" if is_dry else torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }
    for name in ("conv4", "resnet18"):
        result[name] = one_trial(name, limit_s, is_dry=is_dry)
        for count in PACKED[:2] if is_dry else PACKED:
            row = packed(name, count, limit_s, is_dry=is_dry)
            result[name][f"packed_{count}_trials_per_hour"] = row["trials_per_hour"]
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        parts = value if isinstance(value, dict) else {"": value}
        for part, number in parts.items():
            print(f"{f'{name} {part}'.strip():40} {number}")


if __name__ == "__main__":
    main()
