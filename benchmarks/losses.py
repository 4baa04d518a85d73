"""Time and memory of every loss that pytorch-metric-learning has too, ours against theirs.

A cell is a loss with its miner at a batch of B embeddings of D numbers, M a class, and what is
measured is what a training loop pays: value and gradient of a fresh batch. A process of its own
times a cell, both sides in turns; two more take the peak memory of one step of each side. All are
forked from one parent that has imported torch and has run nothing. Linux only.

    python benchmarks/losses.py [--threads 2] [--only LOSS[/MINER]]   all cells, resumable
    python benchmarks/losses.py --summary                             tables of what is measured
    python benchmarks/losses.py --quick --json                        a choice, within a minute
    python benchmarks/losses.py --largest                             peak memory at B=4096, ours
"""

import argparse
import contextlib
import ctypes
import gc
import itertools
import json
import math
import multiprocessing
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

# A thread that spins for another which waits for a core makes any step a hundred times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import Tensor, nn

from tripletune import spaces
from tripletune.spaces import (
    LOSSES,
    RECORDS,
    BatchConfig,
    LossConfig,
    MinerConfig,
    MinerName,
    ObjectiveConfig,
)
from tripletune.trainables.losses import build_objective

Side = Literal["ours", "theirs"]
SIDES: tuple[Side, ...] = ("ours", "theirs")
Row = dict[str, Any]

BATCH_SIZES, EMBEDDING_DIMS, SAMPLES = (64, 128, 256, 512, 1024), (64, 128, 512), (2, 4, 16)
NUM_CLASSES = 1000
SETS = 4
"""Batches that the steps of a cell go through in turns."""
ROUND_S = 0.002
"""A round repeats a step until it lasts this long."""
WARM_S = 0.05
"""A shorter step runs a few times before it is measured, a longer one once."""
DEADLINE_S = 900.0
"""Of a process: what takes longer counts as failed."""
OUT_OF_MEMORY = "out of memory"
LARGEST_MIB = 2048.0
MIB = 2**20


# ---------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class Pair:
    """A loss and a miner with the same settings on both sides.

    Attributes:
        loss: Our record.
        miner: Our miner.
        their_loss: Their loss, told classes and D where it has proxies; None where only ours is
            measured.
        their_miner: Their miner, if any.
    """

    loss: LossConfig
    miner: MinerName
    their_loss: Callable[..., Any] | None
    their_miner: Callable[[], Any] | None = None

    @property
    def name(self) -> str:
        """Loss and miner, as `--only` takes them."""
        return f"{self.loss.name}/{self.miner}"


@dataclass(frozen=True)
class Cell:
    """A pair at B items, D dimensions, M items a class."""

    pair: Pair
    batch_size: int
    embedding_dim: int
    samples: int

    @property
    def row(self) -> Row:
        """What tells the cell from others, as the first part of its line."""
        return {
            "loss": self.pair.loss.name,
            "miner": self.pair.miner,
            "B": self.batch_size,
            "D": self.embedding_dim,
            "M": self.samples,
        }

    @property
    def num_classes(self) -> int:
        """Classes of the training set, hence proxies."""
        return max(NUM_CLASSES, self.batch_size // self.samples)


def euclidean(power: int = 1, is_unit: bool = True) -> Any:
    """Their (squared) Euclidean distance."""
    return distances.LpDistance(normalize_embeddings=is_unit, power=power)


def easy_hard(positive: str, negative: str, distance: Any) -> Callable[[], Any]:
    """Their miner of one triplet an anchor."""
    return partial(
        miners.BatchEasyHardMiner,
        pos_strategy=positive,
        neg_strategy=negative,
        distance=distance,
    )


def violating(kind: str) -> Callable[[], Any]:
    """Their miner of all triplets of a kind."""
    return partial(
        miners.TripletMarginMiner, margin=0.2, type_of_triplets=kind, distance=euclidean()
    )


def pairs_in_common() -> list[Pair]:
    """Every loss with every miner that both have, with the same settings.

    Values are equal, but for what is drawn at random and for four of theirs that do about the same
    work to another end: `angular` does not normalise the negatives, `ranked_list` derives its
    weights too, `distance_weighted` draws M triplets an anchor where ours draws M - 1, and
    `smooth_ap` takes the number of classes for the size of one unless the two are equal.
    """
    unit, free = euclidean(), euclidean(is_unit=False)
    product = distances.DotProductSimilarity(normalize_embeddings=False)
    cosine = distances.CosineSimilarity()
    mean = reducers.MeanReducer()

    contrastive = spaces.LinearContrastive(margin=1.0, reduction="active")
    their_contrastive = partial(losses.ContrastiveLoss, pos_margin=0, neg_margin=1, distance=unit)
    triplet = spaces.Triplet(margin=0.2, reduction="active")
    their_triplet = partial(losses.TripletMarginLoss, margin=0.2, distance=unit)
    swap = spaces.TripletSwap(margin=0.2, reduction="active")
    their_swap = partial(their_triplet, swap=True)
    soft = spaces.SoftTriplet(unit_norm=False)
    their_soft = partial(
        losses.TripletMarginLoss, margin=0, smooth_loss=True, distance=free, reducer=mean
    )
    margin = spaces.MarginLoss(margin=0.2, beta=1.2, learn_beta="global", beta_penalty=0.01)
    their_margin = partial(
        losses.MarginLoss, margin=0.2, beta=1.2, learn_beta=True, nu=0.01, distance=unit
    )
    angular = spaces.Angular(angle=40.0)
    nt_xent = spaces.NTXent(temperature=0.1)
    their_nt_xent = partial(losses.NTXentLoss, temperature=0.1)
    info_nce = spaces.InfoNCE(temperature=1.0)
    their_info_nce = partial(losses.NTXentLoss, temperature=1.0, distance=product)
    n_pair = spaces.NPair(norm_penalty=0.0)
    nca = spaces.NCA()
    their_nca = partial(losses.NCALoss, distance=euclidean(2, is_unit=False))
    neighbor = spaces.SoftNearestNeighbor(temperature=0.2)
    their_neighbor = partial(losses.NCALoss, softmax_scale=1 / 0.2, distance=euclidean(2))
    smooth_ap = spaces.SmoothAP(temperature=0.01, count_query=True)
    similarity = spaces.MultiSimilarity(alpha=2.0, beta=50.0, threshold=0.5)
    their_similarity = partial(losses.MultiSimilarityLoss, alpha=2, beta=50, base=0.5)
    circle = spaces.Circle(relaxation=0.4, scale=80.0)
    lifted = spaces.LiftedStructure(margin=1.0)
    ranked = spaces.RankedList(
        boundary=1.2,
        margin=0.4,
        positive_temperature=0.0,
        negative_temperature=5.0,
        negative_share=0.5,
    )
    their_ranked = partial(losses.RankedListLoss, margin=0.4, alpha=1.2, Tp=0, Tn=5, imbalance=0.5)
    proxy_nca = spaces.ProxyNCA(temperature=0.11)
    their_proxy_nca = partial(losses.ProxyNCALoss, softmax_scale=1 / 0.11, distance=euclidean(2))
    proxy_anchor = spaces.ProxyAnchor(margin=0.1, scale=32.0)
    softmax = spaces.NormalizedSoftmax(temperature=0.05)
    cosface = spaces.CosFace(margin=0.35, scale=64.0)
    arcface = spaces.ArcFace(margin=28.6, scale=64.0)

    easy_semi_hard: MinerName = "easy_positive_semi_hard"
    return [
        Pair(contrastive, "all", their_contrastive),
        Pair(triplet, "all", their_triplet),
        Pair(triplet, "hard", their_triplet, violating("hard")),
        Pair(triplet, "semi_hard", their_triplet, violating("semihard")),
        Pair(triplet, "batch_hard", their_triplet, easy_hard("hard", "hard", unit)),
        Pair(triplet, "easy_positive_hard", their_triplet, easy_hard("easy", "hard", unit)),
        Pair(triplet, easy_semi_hard, their_triplet, easy_hard("easy", "semihard", unit)),
        Pair(triplet, "distance_weighted", their_triplet, miners.DistanceWeightedMiner),
        Pair(swap, "all", their_swap),
        Pair(soft, "all", their_soft),
        Pair(soft, "batch_hard", their_soft, easy_hard("hard", "hard", free)),
        Pair(soft, "batch_easy", their_soft, easy_hard("easy", "easy", free)),
        Pair(margin, "distance_weighted", their_margin, miners.DistanceWeightedMiner),
        Pair(margin, "all", their_margin),
        Pair(angular, "none", partial(losses.AngularLoss, alpha=40)),
        Pair(nt_xent, "none", their_nt_xent),
        Pair(nt_xent, easy_semi_hard, their_nt_xent, easy_hard("easy", "semihard", cosine)),
        Pair(info_nce, "none", their_info_nce),
        Pair(spaces.SupCon(temperature=0.1), "none", partial(losses.SupConLoss, temperature=0.1)),
        Pair(n_pair, "none", partial(losses.NPairsLoss, distance=product)),
        Pair(nca, "none", their_nca),
        Pair(neighbor, "none", their_neighbor),
        Pair(smooth_ap, "none", partial(losses.SmoothAPLoss, temperature=0.01)),
        Pair(similarity, "none", their_similarity),
        Pair(
            similarity,
            "multi_similarity",
            their_similarity,
            partial(miners.MultiSimilarityMiner, epsilon=0.1),
        ),
        Pair(circle, "none", partial(losses.CircleLoss, m=0.4, gamma=80, reducer=mean)),
        Pair(lifted, "none", partial(losses.LiftedStructureLoss, neg_margin=1, distance=unit)),
        Pair(ranked, "none", their_ranked),
        Pair(proxy_nca, "none", their_proxy_nca),
        Pair(proxy_anchor, "none", partial(losses.ProxyAnchorLoss, margin=0.1, alpha=32)),
        Pair(softmax, "none", partial(losses.NormalizedSoftmaxLoss, temperature=0.05)),
        Pair(cosface, "none", partial(losses.CosFaceLoss, margin=0.35, scale=64)),
        Pair(arcface, "none", partial(losses.ArcFaceLoss, margin=28.6, scale=64)),
    ]


def pairs_of_ours() -> list[Pair]:
    """Every loss with every miner that it allows."""
    return [
        Pair(RECORDS[name](), miner, None)  # type: ignore[arg-type]  # each is a LossConfig
        for name, facts in LOSSES.items()
        for miner in facts.miners
    ]


# ---------------------------------------------------------------- a cell, in its own process


def batches(cell: Cell) -> list[tuple[Tensor, Tensor]]:
    """Batches like those of a network half-way: classes that are near each other mix.

    An item is its class's centre plus noise nearly as large, both in a space of 16 dimensions
    whatever D is, and a little noise in all of D. At D=64 a tenth of the triplets violates a
    margin of 0.2. The items of a class follow each other, as one of their losses asks.
    """
    inner, norm = 16, 3.0
    classes, dim = cell.batch_size // cell.samples, cell.embedding_dim
    generator = torch.Generator().manual_seed(1)
    axes = torch.randn(inner, dim, generator=generator) / dim**0.5
    found = []
    for _ in range(SETS):
        centres = torch.randn(classes, inner, generator=generator)
        around = torch.randn(classes, cell.samples, inner, generator=generator)
        points = (centres[:, None, :] + 0.9 * around).reshape(cell.batch_size, inner)
        noise = torch.randn(cell.batch_size, dim, generator=generator)
        embeddings = norm * (points @ axes / inner**0.5 + 0.2 * noise / dim**0.5)
        names = torch.randperm(cell.num_classes, generator=generator)[:classes]
        found.append((embeddings.requires_grad_(), names.repeat_interleave(cell.samples)))
    return found


def step_of(side: Side, cell: Cell) -> Callable[[], None]:
    """Value and gradient of the next batch; all objects are built before."""
    value_of: Callable[[Tensor, Tensor], Tensor]
    module: nn.Module
    pair = cell.pair
    if side == "ours":
        objective = build_objective(
            ObjectiveConfig(loss=pair.loss, miner=MinerConfig(name=pair.miner)),
            batch=BatchConfig(classes=cell.batch_size // cell.samples, samples=cell.samples),
            embedding_dim=cell.embedding_dim,
            num_classes=cell.num_classes,
        )
        generator = torch.Generator().manual_seed(2)
        module = objective

        def value_of(embeddings: Tensor, labels: Tensor) -> Tensor:
            return objective(embeddings, labels, generator).value  # type: ignore[no-any-return]

    else:
        assert pair.their_loss is not None
        torch.manual_seed(2)
        sizes = {"num_classes": cell.num_classes, "embedding_size": cell.embedding_dim}
        loss = pair.their_loss(**sizes if LOSSES[pair.loss.name].has_proxies else {})
        miner = None if pair.their_miner is None else pair.their_miner()
        module = loss

        def value_of(embeddings: Tensor, labels: Tensor) -> Tensor:
            mined = None if miner is None else miner(embeddings, labels)
            return loss(embeddings, labels, mined)  # type: ignore[no-any-return]

    parameters = list(module.parameters())
    turns = itertools.cycle(batches(cell))

    def step() -> None:
        embeddings, labels = next(turns)
        for weights in (embeddings, *parameters):
            weights.grad = None
        value_of(embeddings, labels).backward()

    return step


def seconds(step: Callable[[], None], loops: int) -> float:
    """Wall-clock seconds of one step."""
    begin = time.perf_counter()
    for _ in range(loops):
        step()
    return (time.perf_counter() - begin) / loops


def times(cell: Cell, sides: Sequence[Side], limits: "Limits") -> Row:
    """Median milliseconds a step of each side, measured in turns."""
    steps = {side: step_of(side, cell) for side in sides}
    loops: dict[Side, int] = {}
    for side, step in steps.items():
        taken = seconds(step, 1)
        if taken < WARM_S:
            seconds(step, SETS)
            taken = seconds(step, 1)
        loops[side] = max(1, math.ceil(ROUND_S / taken))
    rounds: dict[Side, list[float]] = {side: [] for side in sides}
    num_rounds = 0
    order = list(sides)
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    while num_rounds < limits.rounds or time.perf_counter() - begin < limits.budget_s:
        for side in order:
            rounds[side].append(seconds(steps[side], loops[side]))
        order.reverse()
        num_rounds += 1
    return {
        **{f"{side}_ms": rounded(1e3 * statistics.median(rounds[side])) for side in sides},
        "rounds": num_rounds,
    }


def peak_memory(cell: Cell, side: Side) -> Row:
    """How far the first step of a batch raises peak resident memory, after a small one."""
    step_of(side, Cell(cell.pair, 16, cell.embedding_dim, min(4, cell.samples)))()
    step = step_of(side, cell)
    before = start_of_peak()
    taken = seconds(step, 1)
    return {f"{side}_mib": rounded((peak() - before) / MIB), f"{side}_s": taken}


def start_of_peak() -> float:
    """Bytes of memory in use, from which `peak` counts where the kernel lets it start anew."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        # What was freed before would hide as much of what the step takes.
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Peak resident bytes of this process."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def rounded(number: float) -> float:
    """The number to four digits."""
    return float(f"{number:.4g}")


# ---------------------------------------------------------------- the parent of the processes


@dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes:
        threads: Of torch.
        memory_gib: Beyond what the parent has; a side that needs more has failed.
        rounds: Of timing, at least.
        budget_s: Of timing, both sides together.
        slow_s: A side whose step takes longer runs once, for time and memory both.
    """

    threads: int
    memory_gib: float
    rounds: int
    budget_s: float
    slow_s: float


def in_child(work: Callable[[], Row], limits: Limits) -> Row:
    """What the work returns in a forked process, or `{"failed": reason}`."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(theirs, work, limits), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(DEADLINE_S):
            process.kill()
            return {"failed": f"took over {DEADLINE_S:g} s"}
        reply: Row = ours.recv()
    except EOFError:
        process.join()
        return {"failed": f"died with exit code {process.exitcode}"}
    finally:
        process.join()
        ours.close()
    return reply


def serve(connection: Connection, work: Callable[[], Row], limits: Limits) -> None:
    """Do the work within the limits and send what it returns."""
    with contextlib.suppress(OSError):
        # Should the machine run short before the limit, then this process goes and no other.
        Path("/proc/self/oom_score_adj").write_text("1000")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(limits.memory_gib * 1024 * MIB)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    torch.set_num_threads(limits.threads)
    try:
        reply = work()
    except Exception as error:
        reply = {"failed": reason_of(error)}
    connection.send(reply)
    connection.close()


def reason_of(error: Exception) -> str:
    """Why a side failed, in a line."""
    text = str(error)
    is_memory = isinstance(error, MemoryError) or any(
        sign in text for sign in ("can't allocate memory", "bad_alloc", "not enough memory")
    )
    return OUT_OF_MEMORY if is_memory else f"{type(error).__name__}: {text}".partition("\n")[0]


def measured(cell: Cell, limits: Limits) -> Row:
    """The line of a cell: memory first, so that a side which needs too much is not timed."""
    row = cell.row
    to_time: list[Side] = []
    for side in SIDES:
        reply = in_child(partial(peak_memory, cell, side), limits)
        row |= {f"{side}_ms": None, f"{side}_mib": reply.get(f"{side}_mib")}
        if "failed" in reply:
            row[f"{side}_failed"] = reply["failed"]
        elif reply[f"{side}_s"] > limits.slow_s:
            row[f"{side}_ms"] = rounded(1e3 * reply[f"{side}_s"])
        else:
            to_time.append(side)
    while to_time:
        reply = in_child(partial(times, cell, to_time, limits), limits)
        if "failed" not in reply:
            row |= reply
            break
        # Of two sides it was theirs, as a rule: ours is then timed alone.
        side = to_time.pop()
        row |= {f"{side}_mib": None, f"{side}_failed": reply["failed"]}
    return {**row, "threads": limits.threads}


def measure_all(cells: Sequence[Cell], limits: Limits, out: Path | None) -> list[Row]:
    """Lines of the cells, each appended to the file as soon as it is there."""
    rows = []
    begin = time.perf_counter()
    for number, cell in enumerate(cells, start=1):
        row = measured(cell, limits)
        rows.append(row)
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        left_s = (time.perf_counter() - begin) / number * (len(cells) - number)
        left = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{left_s:.0f} s"
        print(f"[{number}/{len(cells)}, {left} left] {sentence(row)}", file=sys.stderr, flush=True)
    return rows


def sentence(row: Row) -> str:
    """A line in words."""
    sides = []
    for side in SIDES:
        failed = row.get(f"{side}_failed")
        size = failed or f"{row[f'{side}_ms']:g} ms, {row[f'{side}_mib']:g} MiB"
        sides.append(f"{side} {size}")
    ratio = ratio_of(row)
    times_text = "" if ratio is None else f"; {ratio:.3g} times"
    return f"{key_name(row)} {shape_of(row)}: {'; '.join(sides)}{times_text}"


def largest(pairs: Sequence[Pair], limits: Limits) -> bool:
    """Print the peak memory of each of our pairs at B=4096; whether all stay within the bound."""
    is_within = True
    for pair in pairs:
        cell = Cell(pair, 4096, 128, 4)
        reply = in_child(partial(peak_memory, cell, "ours"), limits)
        mib = reply.get("ours_mib", math.inf)
        is_within &= mib <= LARGEST_MIB
        found = reply.get("failed") or f"{mib:8.1f} MiB {reply['ours_s']:7.2f} s"
        verdict = f", over {LARGEST_MIB:g} MiB" if LARGEST_MIB < mib < math.inf else ""
        print(f"{pair.name:45} {found}{verdict}", flush=True)
    return is_within


# ---------------------------------------------------------------- the file and its summary


def read(out: Path) -> list[Row]:
    """Lines of an earlier run; the half line that an interrupted one may leave is cut off."""
    if not out.exists():
        return []
    text = out.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        out.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def key_of(row: Row) -> tuple[Any, ...]:
    """What tells a cell from others."""
    return tuple(row[key] for key in ("loss", "miner", "B", "D", "M"))


def key_name(row: Row) -> str:
    """Loss and miner of a line."""
    return f"{row['loss']}/{row['miner']}"


def shape_of(row: Row) -> str:
    """Sizes of a line."""
    return f"B={row['B']} D={row['D']} M={row['M']}"


def ratio_of(row: Row) -> float | None:
    """How many times as fast ours is, if both sides ran."""
    ours, theirs = row["ours_ms"], row["theirs_ms"]
    return theirs / ours if ours and theirs else None


def ratios_of(rows: Sequence[Row]) -> list[float]:
    """Ratios of the lines that have one."""
    return [ratio for ratio in map(ratio_of, rows) if ratio is not None]


def times_as_fast(rows: Sequence[Row]) -> str:
    """Geometric mean of the ratios; a star says that some of theirs failed."""
    ratios = ratios_of(rows)
    if not ratios:
        return "fails" if rows else "-"
    mean = statistics.geometric_mean(ratios)
    return f"{mean:.3g}" + ("*" if len(ratios) < len(rows) else "")


def memory_text(rows: Sequence[Row]) -> str:
    """Largest peaks of ours and theirs over the lines."""
    if not rows:
        return "-"
    texts = []
    for side in SIDES:
        found = [row[f"{side}_mib"] for row in rows if row[f"{side}_mib"] is not None]
        star = "*" if len(found) < len(rows) else ""
        texts.append(f"{max(found):.0f}{star}" if found else "fails")
    return " / ".join(texts)


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a markdown table, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [
        "| "
        + " | ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in (header, rules, *body)
    ]


def summary(rows: Sequence[Row]) -> str:
    """Ratios and peak memory as markdown."""
    by_name: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["B"], row["D"], row["M"])):
        by_name.setdefault(key_name(row), []).append(row)
    sizes = sorted({row["B"] for row in rows})
    speed, memory = [], []
    for name, cells in sorted(by_name.items()):
        at = [[row for row in cells if row["B"] == size] for size in sizes]
        worst = min((row for row in cells if ratio_of(row)), key=worst_first, default=None)
        worst_text = (
            "-"
            if worst is None
            else f"{ratio_of(worst):.3g} at {worst['B']}/{worst['D']}/{worst['M']}"
        )
        speed.append([name, *map(times_as_fast, at), worst_text])
        memory.append([name, *map(memory_text, at[-3:])])
    threads = ", ".join(str(count) for count in sorted({row["threads"] for row in rows}))
    lines = [
        f"Times as fast as pytorch-metric-learning, {len(rows)} cells, threads: {threads}.",
        "Geometric mean over D and M for each B; worst cell at B/D/M; * without the cells",
        "in which theirs fails.",
        "",
        *table(["loss/miner", *map(str, sizes), "worst"], speed),
        "",
        "Peak memory of a step in MiB, ours / theirs: the largest over D and M for each B;",
        "* without the cells in which theirs fails.",
        "",
        *table(["loss/miner", *map(str, sizes[-3:])], memory),
        "",
        *headlines(rows, by_name),
    ]
    return "\n".join(lines)


def worst_first(row: Row) -> float:
    """Sort key: the ratio."""
    return ratio_of(row) or math.inf


def headlines(rows: Sequence[Row], by_name: dict[str, list[Row]]) -> Iterator[str]:
    """The few numbers that stand for all."""
    for size in (256, 512):
        ratios = ratios_of([row for row in rows if row["B"] == size])
        if ratios:
            mean = statistics.geometric_mean(ratios)
            yield f"- Geometric mean at B={size}: {mean:.3g} times over {len(ratios)} cells."
    for name in ("nt_xent/none", "triplet/all"):
        ratios = ratios_of([row for row in by_name.get(name, ()) if row["B"] == 512])
        if ratios:
            mean, least, most = statistics.geometric_mean(ratios), min(ratios), max(ratios)
            yield f"- {name} at B=512: {mean:.3g} times ({least:.3g} to {most:.3g})."
    slower = sorted((row for row in rows if (ratio_of(row) or 1.0) < 1.0), key=worst_first)
    yield f"- Ours is slower in {len(slower)} of {len(ratios_of(rows))} cells."
    for row in slower[:20]:
        yield f"  - {key_name(row)} {shape_of(row)}: {ratio_of(row):.3g}"
    for side in SIDES:
        failed = [row for row in rows if f"{side}_failed" in row]
        reasons = sorted({row[f"{side}_failed"] for row in failed})
        yield f"- {side} fails in {len(failed)} cells{': ' if failed else ''}{'; '.join(reasons)}."
        peaks = [row for row in rows if row[f"{side}_mib"] is not None]
        if peaks:
            top = max(peaks, key=lambda row: float(row[f"{side}_mib"]))
            yield (
                f"- Largest peak of {side}: {top[f'{side}_mib']:.0f} MiB, {key_name(top)} "
                f"{shape_of(top)}."
            )


# ---------------------------------------------------------------- the command line


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = found.add_argument
    add("--out", type=Path, default=None, help="default: benchmarks/tables/losses.jsonl")
    add("--fresh", action="store_true", help="forget the cells that are in the file")
    add("--summary", action="store_true", help="print the tables of the file, measure nothing")
    add("--quick", action="store_true", help="a choice of cells; no file unless --out is given")
    add("--largest", action="store_true", help="peak memory of ours at B=4096, D=128, M=4")
    add("--json", action="store_true", help="print the cells as a list in place of the tables")
    add("--only", action="append", metavar="LOSS[/MINER]", help="may be repeated")
    add("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES, metavar="B")
    add("--embedding-dims", type=int, nargs="+", default=EMBEDDING_DIMS, metavar="D")
    add("--samples", type=int, nargs="+", default=SAMPLES, metavar="M", help="items a class")
    add("--shuffle", action=argparse.BooleanOptionalAction, default=True)
    add("--threads", type=int, default=2)
    add("--memory-limit-gib", type=float, default=8.0)
    add("--budget-s", type=float, default=None, help="of timing a cell; 0.4, quick 0.2")
    add("--slow-s", type=float, default=None, help="measured once beyond; 20, quick 3")
    return found


def chosen(pairs: Sequence[Pair], only: Sequence[str] | None) -> list[Pair]:
    """The pairs that `--only` names."""
    found = [pair for pair in pairs if not only or {pair.name, pair.loss.name} & set(only)]
    if not found:
        names = ", ".join(pair.name for pair in pairs)
        raise SystemExit(f"--only must name one of {names}, got {', '.join(only or ())}")
    return found


def cells_of(pairs: Sequence[Pair], arguments: argparse.Namespace) -> list[Cell]:
    """The cells to measure, in the order of measuring."""
    if arguments.quick:
        cells = [Cell(pair, 256, 64, 4) for pair in pairs]
        big = {"nt_xent/none", "triplet/all"}
        cells += [Cell(pair, 512, 64, 4) for pair in pairs if pair.name in big]
    else:
        sizes = itertools.product(
            pairs, arguments.batch_sizes, arguments.embedding_dims, arguments.samples
        )
        cells = [Cell(*size) for size in sizes]
    if arguments.shuffle:
        random.Random(0).shuffle(cells)
    return cells


def main() -> int:
    """Measure, or print what was measured."""
    arguments = parser().parse_args()
    out: Path | None = arguments.out
    if out is None and not arguments.quick:
        out = Path(__file__).parent / "tables" / "losses.jsonl"
    rounds, budget_s, slow_s = (1, 0.2, 3.0) if arguments.quick else (3, 0.4, 20.0)
    limits = Limits(
        arguments.threads,
        arguments.memory_limit_gib,
        rounds,
        budget_s if arguments.budget_s is None else arguments.budget_s,
        slow_s if arguments.slow_s is None else arguments.slow_s,
    )
    # A collection in a child leaves alone what the parent holds, and so shares its pages.
    gc.collect()
    gc.freeze()
    if arguments.largest:
        return 0 if largest(chosen(pairs_of_ours(), arguments.only), limits) else 1
    pairs = chosen(pairs_in_common(), arguments.only)
    names = {pair.name for pair in pairs}
    if out is not None and arguments.fresh and not arguments.summary:
        out.unlink(missing_ok=True)
    rows = [] if out is None else read(out)
    if not arguments.summary:
        if any(row["threads"] != limits.threads for row in rows):
            raise SystemExit(
                f"{out} holds cells of another number of threads: name another --out, or --fresh"
            )
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
        known = {key_of(row) for row in rows}
        cells = [cell for cell in cells_of(pairs, arguments) if key_of(cell.row) not in known]
        rows += measure_all(cells, limits, out)
    rows = [row for row in rows if key_name(row) in names]
    if not rows:
        raise SystemExit(f"{out} holds no cells yet: run without --summary")
    print(json.dumps(rows, indent=2) if arguments.json else summary(rows))
    return 1 if any("ours_failed" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
