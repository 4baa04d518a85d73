"""The run that stands for a whole study: leaderboard, plots, data and the exported model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# As `study_content` in the package builds it.
Message = dict[str, Any]


def log_study(run: Any, study: Message) -> None:
    """Logs the leaderboard as a table, its plots, and the model as an artifact.

    The data are an input of the run and the model its output, so that W&B's lineage leads from the
    model to the fingerprint of the data. Offline, W&B can record no input (wandb 0.31): the
    artifact of the data is then logged as an output, and `tripletune wandb sync` links it.
    """
    import wandb

    columns, rows = study["columns"], study["table"]
    content: dict[str, Any] = {"leaderboard": wandb.Table(columns=columns, data=rows)}
    curves = study["curves"]
    if curves["names"]:
        content["curves"] = wandb.plot.line_series(
            xs=curves["steps"],
            ys=curves["accuracies"],
            keys=curves["names"],
            title="One-shot accuracy of the best trials",
            xname="step",
        )
    if study["points"]:
        table = wandb.Table(columns=["seconds", "one_shot_accuracy"], data=study["points"])
        content["accuracy_by_seconds"] = wandb.plot.scatter(
            table, "seconds", "one_shot_accuracy", title="Accuracy against training time"
        )
    run.log(content | study["values"])
    for entry in study["data"]:
        artifact = data_artifact(entry)
        if run.offline:
            run.log_artifact(artifact)
        else:
            run.use_artifact(artifact)
    if study["model"] is not None:
        run.log_artifact(model_artifact(study["model"]), aliases=["best"])


def data_artifact(entry: Mapping[str, Any]) -> Any:
    """The data of a study by their fingerprint; the images themselves stay where they are."""
    import wandb

    artifact = wandb.Artifact(entry["name"], "dataset", metadata=entry["description"])
    with artifact.new_file("data.json") as file:
        json.dump(entry["description"], file, indent=2, sort_keys=True)
    return artifact


def model_artifact(model: Mapping[str, Any]) -> Any:
    """The exported model of a study, with its score and its origin."""
    import wandb

    artifact = wandb.Artifact(model["name"], "model", metadata=model["metadata"])
    for path in sorted(Path(model["folder"]).iterdir()):
        if path.is_file():
            artifact.add_file(str(path), name=path.name)
    return artifact
