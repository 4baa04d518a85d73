"""The ids of a study's runs in W&B: the same at every start, unlike those of any other study."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..folder import write_text

TOKEN_FILE = "wandb-id"
URL_FILE = "wandb-url"

LONGEST_NAME = 40


@dataclass(frozen=True)
class RunIdentity:
    """Names the runs of a study.

    Attributes:
        study: Its name, the group of its runs.
        token: Chance letters, which a study of the same name elsewhere does not share.
        tags: Of every run.
    """

    study: str
    token: str
    tags: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, study: str, folder: Path, tags: Sequence[str] = (), *, is_new: bool = False
    ) -> "RunIdentity":
        """The identity that lies in the study's folder, made at the first use.

        Args:
            study: Its name.
            folder: Of the study.
            tags: Of every run.
            is_new: Whether to make another one: the runs of the old one are left as they are.
        """
        path = folder / TOKEN_FILE
        if is_new or not path.exists():
            write_text(path, secrets.token_hex(4))
        return cls(study, path.read_text(encoding="utf-8").strip(), tuple(tags))

    @property
    def prefix(self) -> str:
        """First part of every id."""
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', self.study)[:LONGEST_NAME]}-{self.token}"

    @property
    def summary(self) -> str:
        """Id of the study's own run."""
        return f"{self.prefix}-study"

    def trial(self, number: int) -> str:
        """Id of a trial's run."""
        return f"{self.prefix}-{number:04d}"


def run_link(folder: Path, number: int) -> str:
    """Where a trial's run is: its address where one is known, else its id; empty without W&B."""
    token, url = folder / TOKEN_FILE, folder / URL_FILE
    if not token.exists():
        return ""
    run_id = RunIdentity.of(folder.name, folder).trial(number)
    if not url.exists():
        return run_id
    return f"{url.read_text(encoding='utf-8').strip()}/runs/{run_id}"
