"""What a study was started with, kept in its folder and in its storage."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import optuna

from .. import __version__
from .database_url import JOURNAL, shown_database
from .differences import differences
from .folder import StudyError, StudyFolder

SETTINGS = "settings"
"""The study's own attribute that holds what `study.yaml` holds."""


@dataclass(frozen=True)
class StudySettings:
    """What a study was started with; `study.yaml` holds it.

    Attributes:
        space: Text of the space file, command-line overrides written in.
        options: Of the search: trials, seed, scheduler, slots.
        data: One entry a data section of the space: fingerprint, split, preprocessing, notes.
        episodes: Hash of the frozen episodes.
        baselines: Scores on the same episodes that need no training, by name.
        versions: Of Python and the packages that the numbers depend on.
        database: Where the trials are: `journal`, or a database's URL without its password.
    """

    space: str
    options: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    episodes: str
    baselines: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    database: str = JOURNAL


def versions() -> dict[str, str]:
    """Versions that the numbers of a study depend on."""
    packages = ("torch", "torchvision", "ray", "optuna", "numpy")
    return {
        "tripletune": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def require_free(folder: StudyFolder, settings: StudySettings, study: optuna.Study) -> None:
    """Refuse a name that another study has in the same database.

    Raises:
        StudyError: With what differs, or how to go on with it.
    """
    there = study.user_attrs.get(SETTINGS)
    if there is None or settings.database == JOURNAL:
        return
    place = f"study {folder.name} exists in {shown_database(settings.database)}"
    found = differences(there, asdict(settings))
    if found:
        raise StudyError(
            f"{place} with {'; '.join(found)}: choose another --name, or the same space and data"
        )
    raise StudyError(f"{place}, and its folder is not {folder.path}: go on with it there")
