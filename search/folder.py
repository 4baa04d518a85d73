"""The folder of a study: what lies where in `runs/STUDY/`."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

RESERVE_BYTES = 100 * 2**20
"""Free space below which a search stops while it can still write its own end."""


class StudyError(Exception):
    """A study that cannot be opened, made or continued; the message says what to do."""


@dataclass(frozen=True)
class StudyFolder:
    """Paths of one study.

    Attributes:
        path: `runs/STUDY`; its last part is the study's name.
    """

    path: Path

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def settings(self) -> Path:
        """Space, options, data fingerprint, split and episode hashes, versions."""
        return self.path / "study.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's journal: the truth of what was tried and reported."""
        return self.path / "optuna.log"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the study."""
        return self.path / "running.lock"

    @property
    def tune(self) -> Path:
        """Ray Tune's checkpoints, one folder a start of the search."""
        return self.path / "tune"

    @property
    def leaderboard(self) -> Path:
        """The leaderboard as CSV."""
        return self.path / "leaderboard.csv"

    @property
    def best(self) -> Path:
        """The export of the best trial."""
        return self.path / "best"

    def checkpoints(self, number: int) -> list[Path]:
        """Checkpoint files of a trial over all starts, the newest first."""
        found = self.tune.glob(f"*/{trial_folder_name(number)}/checkpoint_*/{CHECKPOINT_FILE}")
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def free_bytes(self) -> int:
        """Free space where the study lies."""
        return shutil.disk_usage(self.path).free


CHECKPOINT_FILE = "trial.pt"


def trial_folder_name(number: int) -> str:
    """Name of a trial's folder under Tune's."""
    return f"trial_{number:05d}"


def find_study(name_or_path: str | Path, runs: Path) -> StudyFolder:
    """The folder of a study that exists, by name under `runs` or by path.

    Raises:
        StudyError: If there is none; the message lists the studies that are there.
    """
    for path in (Path(name_or_path), runs / name_or_path):
        if (path / "study.yaml").is_file():
            return StudyFolder(path.resolve())
    known = sorted(path.parent.name for path in runs.glob("*/study.yaml"))
    raise StudyError(
        f"no study {str(name_or_path)!r} under {runs}; "
        + (f"there are: {', '.join(known)}" if known else "there is none yet: tripletune search")
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data as YAML, whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    yaml = YAML()
    yaml.default_flow_style = False
    with temporary.open("w", encoding="utf-8") as file:
        # Through JSON, so that only plain types are written.
        yaml.dump(json.loads(json.dumps(content)), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read what `write_yaml` wrote."""
    with path.open(encoding="utf-8") as file:
        return dict(YAML(typ="safe").load(file))
