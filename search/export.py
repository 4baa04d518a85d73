"""Exports the model of a study's trial."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spaces import Recipe
from ..trainables import (
    TrialData,
    load_trial_data,
    make_bundle,
    read_checkpoint,
    require_place,
    write_bundle,
)
from ..trainables.bundle import trial_network
from ..trainables.data import ImageSet, Preprocessing, SeriesPreprocessing, read_preprocessing
from ..trainables.embedding_sizes import leading_projection
from ..trainables.network import Network, Projection
from .folder import StudyError, write_text
from .ledger import LEDGER_FILE, Ledger
from .model_card import card_files
from .pareto import all_models, model_name, pareto_front
from .records import TrialRecord
from .remote_data import localized
from .scores import scores_of_ledger, selection_scores
from .study import Study
from .under_dim import under_dim


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Attributes:
        false_accept_rate: Share of strangers that may be taken for somebody; None: 0.05.
        datasets: Data of the study that are loaded already, by the key of their section.
        data_path: Where a folder or zip of the study lies now, if it was moved.
        max_dim: Most dimensions; a larger trial is followed by a rotation onto its leading ones.
        is_onnx_wanted: Whether to add the network as an ONNX graph.
    """

    false_accept_rate: float | None = None
    datasets: Mapping[str, TrialData] | None = None
    data_path: str | None = None
    max_dim: int | None = None
    is_onnx_wanted: bool = False


def export_best(
    study: Study, folder: Path, options: ExportOptions | None = None
) -> TrialRecord | None:
    """Export the best trial that trained its whole budget.

    Returns:
        The trial; None if no trial is complete yet, and then nothing is written.
    """
    best = study.leaderboard(options.max_dim if options else None).best
    if best is None:
        return None
    export_trial(study, best, folder, options)
    return best


def export_trial(
    study: Study, record: TrialRecord, folder: Path, options: ExportOptions | None = None
) -> None:
    """Export one trial's newest checkpoint, which is that of its last report.

    Raises:
        StudyError: If the trial failed (its weights may be no numbers) or is not over (its score
            may be newer than its weights), or its checkpoint or the study's data are gone.
        ValueError: If the folder may not be replaced, or the rate cannot be shown.
    """
    options = options or ExportOptions()
    checkpoint = find_checkpoint(study, record)
    require_place(folder)
    if options.max_dim is not None and record.size is None:
        record = _shrunk(record, options.max_dim)
    description = study.settings.data[record.recipe.data.key]
    scores = selection_scores(
        record.recipe,
        record.reports,
        data=description,
        episodes=study.settings.episodes,
        baselines=study.settings.baselines,
        versions=study.settings.versions,
        origin={"study": study.name, "trial": record.number, "best_of": len(study.records())},
    )
    entries = Ledger(study.folder.path / LEDGER_FILE).entries()
    scores |= scores_of_ledger(entries, trial=record.number)
    state = read_checkpoint(checkpoint)
    write_export(
        state,
        record.recipe,
        read_preprocessing(description["preprocessing"]),
        study_data(study, record, options).validation,
        scores,
        folder,
        options,
        None if record.size is None else leading_projection(state["axes"], record.size),
    )


def _shrunk(record: TrialRecord, dim: int) -> TrialRecord:
    """The trial with the score of its leading dimensions, where it has more than `dim`.

    Raises:
        StudyError: If it was stopped before these were scored.
    """
    for shrunk in under_dim([record], dim):
        return shrunk
    raise StudyError(
        f"trial {record.number} must have trained its whole budget to be exported with {dim} of "
        f"its {record.recipe.encoder.embedding_dim} dimensions; choose another, or leave out "
        "--under-dim"
    )


def export_pareto(
    study: Study, folder: Path, options: ExportOptions | None = None
) -> list[TrialRecord]:
    """Export every model that no other beats in accuracy, embedding length and weights.

    Args:
        study: With at least one complete trial.
        folder: Gets a folder of each model, and `pareto.json` that lists them.
        options: Of each export.

    Returns:
        The models, as trials that `under_dim` may have shrunk.

    Raises:
        StudyError: If no trial is complete yet, or as of `export_trial`.
        ValueError: As of `export_trial`.
    """
    models = all_models(study.records())
    if not models:
        raise StudyError(f"study {study.name} has no complete trial to export yet")
    weights = {model.number: _num_weights(find_checkpoint(study, model)) for model in models}
    front = pareto_front(models, weights)
    folder.mkdir(parents=True, exist_ok=True)
    for model in front:
        require_place(folder / model_name(model))
    for model in front:
        export_trial(study, model, folder / model_name(model), options)
    listed = [
        {
            "folder": model_name(model),
            "one_shot_accuracy": model.reports[-1].one_shot_accuracy,
            "interval": [model.reports[-1].interval_low, model.reports[-1].interval_high],
            "dimensions": model.embedding_dim,
            "weights": weights[model.number],
        }
        for model in front
    ]
    write_text(folder / "pareto.json", json.dumps(listed, indent=2) + "\n")
    return front


def _num_weights(checkpoint: Path) -> int:
    return sum(int(one.numel()) for one in read_checkpoint(checkpoint)["encoder"].values())


def write_export(
    state: Mapping[str, Any],
    recipe: Recipe,
    preprocessing: Preprocessing | SeriesPreprocessing,
    validation: ImageSet,
    scores: Mapping[str, Any],
    folder: Path,
    options: ExportOptions,
    projection: Projection | None = None,
) -> None:
    """Write the export of a trial's state with its scores and its card."""
    bundle = make_bundle(
        state,
        recipe,
        preprocessing,
        validation,
        false_accept_rate=options.false_accept_rate,
        projection=projection,
        is_onnx_wanted=options.is_onnx_wanted,
    )
    scores = {**scores, "recipe": bundle.recipe.digest}
    card = card_files(bundle, scores, preprocessing)
    write_bundle({**bundle.files, **card}, scores, folder)


def checkpoint_network(study: Study, record: TrialRecord) -> Network:
    """The network of a trial's newest checkpoint, as it would be exported.

    Raises:
        StudyError: As of `export_trial`, except that the data are not needed.
    """
    state = read_checkpoint(find_checkpoint(study, record))
    description = study.settings.data[record.recipe.data.key]
    return trial_network(state, record.recipe, read_preprocessing(description["preprocessing"]))


def find_checkpoint(study: Study, record: TrialRecord) -> Path:
    """The newest checkpoint of a trial that is over.

    Raises:
        StudyError: As of `export_trial`.
    """
    if record.state not in ("complete", "pruned"):
        why = record.failure or f"go on with `{study.folder.command('resume')}` first"
        raise StudyError(f"trial {record.number} of study {study.name} is {record.state}: {why}")
    checkpoints = study.folder.checkpoints(record.number)
    if not checkpoints or not record.reports:
        raise StudyError(
            f"trial {record.number} of study {study.name} has no checkpoint to export"
        )
    return checkpoints[0]


def study_data(study: Study, record: TrialRecord, options: ExportOptions) -> TrialData:
    """The data that a trial was scored on.

    Raises:
        StudyError: If they are gone, or are others now.
    """
    config = record.recipe.data
    if options.datasets and config.key in options.datasets:
        return options.datasets[config.key]
    described = study.settings.data[config.key]
    if options.data_path is not None:
        config = config.model_copy(update={"path": options.data_path})
    try:
        data = load_trial_data(localized(config))
    except (ValueError, OSError) as error:
        raise StudyError(
            f"an export needs the validation images of study {study.name}, to set the threshold "
            f"of unknown: {error}. If they were moved, say where with --data"
        ) from error
    if (data.fingerprint, data.split_digest) != (described["fingerprint"], described["split"]):
        raise StudyError(
            f"the data are not those of study {study.name}: fingerprint was "
            f"{described['fingerprint']}, is {data.fingerprint}; split was {described['split']}, "
            f"is {data.split_digest}"
        )
    return data
