"""Why trials were stopped early: a line each, for people and scripts; the study does without."""

import json
from pathlib import Path


def note_decision(path: Path, number: int, step: int, verdict: str) -> None:
    """Append one decision.

    Args:
        path: Of the file, one JSON object a line.
        number: Of the trial.
        step: Of its last report.
        verdict: Behind which trial it was, by how much, on how many episodes.
    """
    line = json.dumps({"trial": number, "step": step, "stopped": verdict}, ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
