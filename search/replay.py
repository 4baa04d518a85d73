"""Trains the recipe of an export again, and says whether its score comes out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..spaces import Recipe
from ..trainables import Report, load
from ..trainables.data import Progress, unseen
from .datasets import describe_data
from .train import Say, load_training


@dataclass(frozen=True)
class Replay:
    """What came out.

    Attributes:
        recorded: The score in the export.
        interval: Its 95 % interval, over episodes.
        replayed: The score of the new training, on the same episodes.
        is_inside: Whether that lies in the interval.
        is_equal: Whether the whole curve is the same to the last bit.
        steps: That were trained.
    """

    recorded: float
    interval: tuple[float, float]
    replayed: float
    is_inside: bool
    is_equal: bool
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return asdict(self)


def replay(
    folder: Path, say: Say, *, data_path: str | None = None, progress: Progress = unseen
) -> Replay:
    """Train the recipe of an export from scratch on the same data.

    Args:
        folder: The export.
        say: Told each report as a line.
        data_path: Where its images lie now, if they were moved.
        progress: Told how far the decoding is, where there is any.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If the export is damaged, or the data, their split or the episodes are not
            those that it was scored on.
    """
    model = load(folder, device="cpu")
    recipe, scores = model.recipe, model.scores
    if data_path is not None:
        recipe = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"path": data_path})}
        )
    training = load_training(recipe, say, progress)
    description = describe_data(training.data)
    now = {
        "data_fingerprint": description["fingerprint"],
        "split_hash": description["split"],
        "episodes_hash": training.prepared.episodes.digest,
    }
    for key, value in now.items():
        if scores.get(key) != value:
            raise ValueError(
                f"{folder} was scored on {key} {scores.get(key)}, got {value}: a replay needs "
                "the same data; say where they are with --data"
            )
    _, reports = training.run(say, until=_steps(scores, recipe))
    return _compared(scores, reports, model.architecture.projected_dim)


def _steps(scores: Mapping[str, Any], recipe: Recipe) -> int:
    steps = scores.get("steps")
    if type(steps) is not int or not 1 <= steps <= recipe.budget.steps:
        raise ValueError(f"scores.json must hold steps of the budget, got {steps!r:.40}")
    return steps


def _compared(scores: Mapping[str, Any], reports: list[Report], dim: int | None) -> Replay:
    """The replayed curve beside the recorded one, of `dim` leading dimensions if that was."""
    recorded = scores["selection"]
    low, high = recorded["interval"]
    accuracies = [one.one_shot_accuracy for one in reports]
    if dim is not None:
        accuracies[-1] = reports[-1].sizes[str(dim)][0]
    curve = [
        {"step": one.step, "one_shot_accuracy": accuracy}
        for one, accuracy in zip(reports, accuracies, strict=True)
    ]
    return Replay(
        recorded=recorded["one_shot_accuracy"],
        interval=(low, high),
        replayed=accuracies[-1],
        is_inside=bool(low <= accuracies[-1] <= high),
        is_equal=curve == scores["curve"],
        steps=reports[-1].step,
    )
