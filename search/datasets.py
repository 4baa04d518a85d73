"""The data of a study: loaded once, described in its settings, scored without training."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..spaces import EvaluationConfig, Space
from ..trainables import (
    QUARTER_TURNS,
    PreparedData,
    TrialData,
    baselines,
    default_device,
    load_trial_data,
    prepare,
)
from ..trainables.data import Progress, unseen
from ..trainables.data.near_duplicates import leaks
from .remote_data import localized


@dataclass(frozen=True)
class StudyData:
    """Every data set that a recipe of the space can ask for.

    Attributes:
        datasets: Training and validation sets by the key of their `data` section.
        description: For `study.yaml`: fingerprint, split, sizes, preprocessing, by the same key.
        episodes: Hash of the frozen episodes, the same for all of them.
        baselines: Scores that need no training, on these episodes.
    """

    datasets: Mapping[str, TrialData]
    description: Mapping[str, Mapping[str, Any]]
    episodes: str
    baselines: Mapping[str, Mapping[str, Any]]


def load_study_data(
    space: Space, say: Callable[[str], None], progress: Progress = unseen
) -> StudyData:
    """Load the data of a space, and score the baselines on its episodes.

    Args:
        space: Its data sections, its (fixed) evaluation.
        say: Told once what was skipped or decided while loading.
        progress: Told how far the decoding is, where there is any.

    Raises:
        ValueError: If the data cannot be used, or cannot hold the episodes.
    """
    datasets = {
        config.key: load_trial_data(localized(config), progress=progress)
        for config in space.data_configs()
    }
    for note in dict.fromkeys(note for data in datasets.values() for note in data.notes):
        say(note)
    _require_enough_classes(space, next(iter(datasets.values())))
    evaluation = _evaluation(space)
    # On the processor: a context on a GPU would take memory from the trials all along.
    device = default_device(is_gpu_allowed=False)
    first, *others = (prepare(data, evaluation, device) for data in datasets.values())
    for other in others:
        # Sizes and colours of one set: the same files, so the same classes and episodes.
        if other.episodes.digest != first.episodes.digest:
            raise ValueError("the data sections of a space must hold the same images")
    say(_sizes(first))
    for line in leaks(first.data.train, first.data.validation):
        say(line)
    return StudyData(
        datasets=datasets,
        description={key: describe_data(data) for key, data in datasets.items()},
        episodes=first.episodes.digest,
        baselines=score_baselines(first),
    )


def score_baselines(prepared: PreparedData) -> dict[str, dict[str, Any]]:
    """The baselines on the frozen episodes, as leaderboard and export show them."""
    return {
        name: {"one_shot_accuracy": score.one_shot_accuracy, "interval": [score.low, score.high]}
        for name, score in baselines(prepared).items()
    }


def changes(then: Mapping[str, Mapping[str, Any]], now: StudyData) -> list[str]:
    """What is different about the data since the study began, a line each."""
    lines = []
    for key, description in now.description.items():
        for name in ("fingerprint", "split"):
            before = then.get(key, {}).get(name)
            if before != description[name]:
                lines.append(f"{name} was {before}, is {description[name]}")
    return lines


def _require_enough_classes(space: Space, data: TrialData) -> None:
    """Refuse batches that the data can never fill, before trials fail by them.

    Where no label is seen, the classes of a batch are items; normal ones may come twice.
    """
    task = space.build(lambda _, distribution: distribution.middle).task
    if not task.FACTS.uses_labels:
        _require_enough_items(space, len(data.train.labels))
        return
    for batch in space.batch_configs():
        turns = QUARTER_TURNS if batch.rotations_as_classes else 1
        most = data.train.num_classes * turns
        if batch.classes > most:
            raise ValueError(
                f"batch.classes must be <= {most}, the training classes"
                f"{' and their quarter turns' if turns > 1 else ''} of these data, got "
                f"{batch.classes}; lower it, as with --set batch.classes={most}"
            )


def _require_enough_items(space: Space, most: int) -> None:
    for batch in space.batch_configs():
        if batch.classes > most:
            raise ValueError(
                f"batch.classes must be <= {most}, the training items of these data, got "
                f"{batch.classes}; lower it, as with --set batch.classes={most}"
            )


def _evaluation(space: Space) -> EvaluationConfig:
    """The evaluation of the space, which is the same for all its recipes."""
    return space.build(lambda _, distribution: distribution.middle).evaluation


def describe_data(data: TrialData) -> dict[str, Any]:
    """What `study.yaml` says of a data set."""
    return {
        "fingerprint": data.fingerprint,
        "split": data.split_digest,
        "train_classes": data.train.num_classes,
        "train_images": len(data.train.labels),
        "validation_classes": data.validation.num_classes,
        "validation_images": len(data.validation.labels),
        "preprocessing": asdict(data.preprocessing),
        "notes": list(data.notes),
    }


def _sizes(prepared: PreparedData) -> str:
    train, validation = prepared.data.train, prepared.data.validation
    is_by_item = train.classes == validation.classes
    others = "others of these" if is_by_item else f"{validation.num_classes} other classes"
    return (
        f"training on {train.num_classes} classes ({len(train.labels)} items), scored on "
        f"{others} ({len(validation.labels)} items)"
    )
