"""Whether W&B holds what the study holds: every run, row, number, table and artifact."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..study import Study
from .found_run import FoundRun, differences
from .run_content import RunContent, StudyContent, study_content, trial_content
from .run_files import found_in_files
from .run_identity import TOKEN_FILE, RunIdentity
from .server_runs import ServerRuns


@dataclass(frozen=True)
class Verdict:
    """What was compared.

    Attributes:
        where: `server` or `files`.
        num_runs: Compared; the study's own is one of them.
        num_rows: Compared.
        problems: By run id, a line each; empty where everything is equal.
        skipped: Trials that are being trained now, and that are compared when they are over.
    """

    where: str
    num_runs: int
    num_rows: int
    problems: dict[str, list[str]]
    skipped: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "where": self.where,
            "runs": self.num_runs,
            "rows": self.num_rows,
            "equal": not self.problems,
            "problems": self.problems,
            "skipped": list(self.skipped),
        }


def expected_runs(
    study: Study, identity: RunIdentity
) -> tuple[list[RunContent], StudyContent, tuple[int, ...]]:
    """The runs that W&B should hold; those of trials that are being trained now are left out."""
    is_live = study.folder.is_claimed()
    records = study.records()
    skipped = tuple(record.number for record in records if is_live and record.state == "running")
    trials = [
        trial_content(record, identity) for record in records if record.number not in skipped
    ]
    return trials, study_content(study, identity), skipped


def verify_server(study: Study, project: str) -> Verdict:
    """Compare the study with W&B's server.

    Raises:
        WandbError: If the server cannot be asked.
    """
    if not (study.folder.path / TOKEN_FILE).exists():
        return _never_logged(study, "server")
    runs = ServerRuns(project)
    return _compare(study, "server", runs.found, runs.artifact_differences)


def verify_files(study: Study) -> Verdict:
    """Compare the study with the files under its `wandb` folder."""
    folder = study.folder.path / "wandb"
    if not (study.folder.path / TOKEN_FILE).exists():
        return _never_logged(study, "files")
    found = found_in_files(folder)
    return _compare(study, "files", found.get, lambda content: _table_differences(folder, content))


def _never_logged(study: Study, where: str) -> Verdict:
    reason = f"the study was never logged to W&B; `{study.folder.command('wandb sync')}` does it"
    return Verdict(where, 0, 0, {study.name: [reason]}, ())


def _compare(
    study: Study,
    where: str,
    find: Callable[[str], FoundRun | None],
    more: Callable[[StudyContent], list[str]],
) -> Verdict:
    identity = RunIdentity.of(study.name, study.folder.path)
    trials, whole, skipped = expected_runs(study, identity)
    problems = {}
    for run in (*trials, *(() if skipped else (whole.run,))):
        lines = differences(run, find(run.id))
        if run.job_type == "study" and lines != ["is missing"]:
            lines += more(whole)
        if lines:
            problems[run.id] = lines
    num_rows = sum(len(run.rows) for run in trials)
    num_runs = len(trials) + (0 if skipped else 1)
    return Verdict(where, num_runs, num_rows, problems, skipped)


def _table_differences(folder: Path, content: StudyContent) -> list[str]:
    """How the newest table among a study run's files differs from the leaderboard."""
    tables = sorted(
        folder.glob(f"*run-*{content.run.id}/files/media/table/leaderboard_*.table.json"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    if not tables:
        return ["lacks the table of the leaderboard"]
    found = json.loads(tables[-1].read_text(encoding="utf-8"))
    expected = json.loads(json.dumps({"columns": content.columns, "data": content.table}))
    return [] if found == expected else ["the table of the leaderboard is another one"]
