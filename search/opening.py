"""Opens the test data for a finished model, and writes down that it did."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..spaces import DataConfig, EvaluationConfig
from ..trainables import Embedder, load
from ..trainables.data import Preprocessing, Progress, unseen
from ..trainables.held_out import open_test_side, score_held_out
from .folder import StudyFolder, read_yaml, shown
from .ledger import LEDGER_FILE, Ledger, new_entry
from .study import versions

EPISODES = 10_000
"""Of a test: the interval is about three times as narrow as that of a search's 1000."""


@dataclass(frozen=True)
class Opening:
    """The outcome of one test.

    Attributes:
        one_shot_accuracy: In [0, 1].
        interval: Both ends of its 95 % interval.
        interval_over: What was drawn at random: episodes or runs.
        protocol: What was scored, in words.
        split_hash: Of the split that the model was searched on.
        episodes_hash: Of the episodes, or of the pairs of files of the runs.
        times_tested: How often test data were opened for this study, this time included.
        study: Name of the study; None of a model that was trained without one.
        ledgers: Files that got the line.
    """

    one_shot_accuracy: float
    interval: tuple[float, float] | None
    interval_over: str
    protocol: str
    split_hash: str
    episodes_hash: str
    times_tested: int
    study: str | None
    ledgers: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """What `tripletune test --json` prints."""
        keys = ("one_shot_accuracy", "interval", "protocol", "split_hash", "episodes_hash")
        content = asdict(self)
        return {key: content[key] for key in (*keys, "times_tested")}


def score_on_test_side(
    export: Path,
    *,
    data: DataConfig | None = None,
    episodes: int = EPISODES,
    studies: Path = Path("runs"),
    progress: Progress = unseen,
) -> Opening:
    """Score an export on the test side of its own split.

    Args:
        export: A folder that `tripletune export` wrote.
        data: The data section, where the data have moved; by default the recipe's.
        episodes: To draw.
        studies: Folder of all studies, to find the one that the model came from.
        progress: Told how far the decoding is.

    Raises:
        ValueError: If the data are not those of the model, or cannot hold the episodes.
        FileNotFoundError: If the export or the data are missing.
    """
    if episodes < 2:
        raise ValueError(f"episodes must be >= 2, got {episodes}")
    model = load(export)
    evaluation = model.recipe.evaluation.model_copy(update={"episodes": episodes})
    images = open_test_side(data or model.recipe.data, dict(model.scores), progress=progress)
    score = score_held_out(model, images, evaluation)
    return _written(
        export,
        model,
        studies,
        {
            "target": "test side",
            "one_shot_accuracy": score.one_shot_accuracy,
            "interval": [score.low, score.high],
            "interval_over": "episodes",
            "protocol": f"{_protocol(evaluation)}, {score.num_classes} test classes",
            "episodes_hash": score.episodes,
        },
    )


def score_on_runs(export: Path, runs: Path, *, studies: Path = Path("runs")) -> Opening:
    """Score an export on Lake's one-shot runs, or any runs of that form.

    Args:
        export: A folder that `tripletune export` wrote.
        runs: Holds `run01/{training,test,class_labels.txt}` and so on.
        studies: As for `score_on_test_side`.

    Raises:
        ValueError: If there are no runs, or the model is not one of images.
        FileNotFoundError: If the export or the folder is missing.
    """
    from ..trainables.lake_runs import evaluate_on_runs

    model = load(export)
    if not isinstance(model.preprocessing, Preprocessing):
        raise ValueError("EXPORT must be a model of images with --runs, got one of series")
    if not runs.exists():
        raise FileNotFoundError(f"--runs must be a folder or a zip, got {runs}: it does not exist")
    content = evaluate_on_runs(model.network.embed, model.preprocessing, runs)
    kept = ("one_shot_accuracy", "interval", "interval_over", "protocol", "runs", "baselines")
    return _written(
        export,
        model,
        studies,
        {
            "target": "runs",
            **{key: content[key] for key in kept},
            "episodes_hash": content["runs_hash"],
        },
    )


def _written(export: Path, model: Embedder, studies: Path, result: dict[str, Any]) -> Opening:
    """Add the line to the ledgers of the model and of its study, and count the lines."""
    own = Ledger(export / LEDGER_FILE)
    of_study = _ledger_of_study(export, model, studies)
    ledgers = [own] if of_study is None else [own, of_study]
    before = {entry["id"] for ledger in ledgers for entry in ledger.entries("test")}
    study, split = model.scores.get("study"), model.scores["split_hash"]
    entry = new_entry(
        "test",
        study=study,
        trial=model.scores.get("trial"),
        recipe=model.recipe.digest,
        split_hash=split,
        data_fingerprint=model.scores["data_fingerprint"],
        **result,
        times_tested=len(before) + 1,
        versions=versions(),
    )
    for ledger in ledgers:
        ledger.add(entry)
    low_high = result["interval"]
    return Opening(
        one_shot_accuracy=result["one_shot_accuracy"],
        interval=None if low_high is None else (low_high[0], low_high[1]),
        interval_over=result["interval_over"],
        protocol=result["protocol"],
        split_hash=split,
        episodes_hash=result["episodes_hash"],
        times_tested=len(before) + 1,
        study=study,
        ledgers=tuple(ledger.path for ledger in ledgers),
    )


def _ledger_of_study(export: Path, model: Embedder, studies: Path) -> Ledger | None:
    """That of the study that the model came from: around the export, or by name."""
    name = model.scores.get("study")
    if name is None:
        return None
    for path in (*export.resolve().parents, studies / name):
        folder = StudyFolder(path.resolve())
        if folder.name == name and folder.settings.is_file():
            data = read_yaml(folder.settings)["data"]
            if any(part["split"] == model.scores["split_hash"] for part in data.values()):
                return Ledger(folder.path / LEDGER_FILE)
    return None


def _protocol(evaluation: EvaluationConfig) -> str:
    where = "within a group" if evaluation.within == "group" else "over all classes"
    return f"{evaluation.way}-way {evaluation.shot}-shot, {evaluation.episodes} episodes {where}"


def summary(opening: Opening) -> list[str]:
    """What `tripletune test` prints, line by line."""
    ends = "" if opening.interval is None else " [{:.4f}, {:.4f}]".format(*opening.interval)
    times, over = opening.times_tested, opening.interval_over
    whose = f"study {opening.study}" if opening.study else "this model"
    lines = [
        opening.protocol,
        f"one-shot accuracy {opening.one_shot_accuracy:.4f}{ends}, 95 % over {over}",
        f"test data were opened {'once' if times == 1 else f'{times} times'} for {whose}",
    ]
    if times > 1:
        lines.append(
            "a model that is chosen by more than one look at its test data has a score that is "
            "too high: name the number of looks beside it"
        )
    return [*lines, f"written to {' and '.join(shown(path) for path in opening.ledgers)}"]
