"""Every kind of task, from a preset to a leaderboard, an export and a model that embeds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_search import toy_options

import tripletune
from tripletune.cluster import open_session
from tripletune.search.runner import run_search
from tripletune.spaces import TASKS, Space, Value

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STEPS: dict[str, Value] = {
    "budget.steps": 4,
    "budget.report_every": 2,
    "evaluation.episodes": 40,
    "compute.precision": "fp32",
}
PICTURES: dict[str, Value] = {
    "data.name": "folder",
    "data.image_size": 16,
    "data.split.validation": 0.5,
    "data.split.test": 0.0,
    "batch.classes": 6,
}

TINY: dict[str, dict[str, Value]] = {
    "mushrooms": PICTURES
    | {"data.image_size": 32, "encoder.weights": "none", "objective.miner.refresh": 2},
    "unsupervised": PICTURES | {"encoder.width": 4},
    "dense": PICTURES
    | {"data.image_size": 32, "encoder.width": 4, "task.points": 8, "task.hidden": 8},
    "corrector": PICTURES
    | {
        "data.split.validation": 0.4,
        "encoder.width": 4,
        "encoder.pretraining_steps": 3,
        "task.classifier_steps": 20,
        "batch.classes": 2,
    },
    "corrector_synthetic": {"task.classifier_steps": 20},
    "time_series": {
        "evaluation.way": 3,
        "batch.classes": 4,
        "encoder.width": 8,
        "data.length": 32,
    },
    "anomalies": {"task.normal": "0", "batch.classes": 8, "encoder.width": 8, "data.length": 32},
}
"""What makes each preset end in seconds: sizes and data, no rule of the task."""


@pytest.fixture(scope="module", autouse=True)
def _one_ray() -> Iterator[None]:
    with open_session(None):
        yield


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sines of ten frequencies, eight series each."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 8)
    time = np.linspace(0, 2 * np.pi, 40)
    x = np.sin((1 + labels[:, None]) * time) + random.normal(0, 0.3, (80, 40))
    path = tmp_path_factory.mktemp("series") / "waves.npz"
    np.savez(path, x=x, y=labels)
    return path


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures that are hard to tell apart."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images") / "two"
    for index in range(60):
        path = folder / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.normal(120 + 6 * (index % 2), 30, (16, 16)).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.mark.parametrize("preset", TINY)
def test_preset_ends_with_a_leaderboard_and_a_model_that_embeds(
    preset: str, images: Path, two_classes: Path, waves: Path, tmp_path: Path
) -> None:
    values = STEPS | TINY[preset]
    if preset in ("time_series", "anomalies"):
        values = values | {"data.path": str(waves)}
    elif preset != "corrector_synthetic":
        values = values | {"data.path": str(two_classes if preset == "corrector" else images)}
    space = Space.load(preset).with_values(values)

    study = run_search(space, toy_options(2, scheduler="none"), name="tiny", runs=tmp_path)

    board = study.leaderboard()
    assert [(row.record.state, row.record.failure) for row in board.rows] == [
        ("complete", None)
    ] * 2
    task = board.rows[0].record.recipe.task
    assert board.to_json()["metric"] == TASKS[task.name].metric
    model = tripletune.load(study.folder.best)
    item = (
        Image.open(next(images.rglob("*.png")))
        if preset in ("mushrooms", "unsupervised", "dense", "corrector")
        else np.zeros((1, 40)) + np.arange(40)
    )
    embeddings = model.embed([item])
    assert embeddings.shape == (1, board.rows[0].record.recipe.encoder.embedding_dim)
    assert np.isfinite(embeddings).all()
