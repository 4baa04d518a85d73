"""Completes in W&B what it lacks of a study, whatever happened during the search."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..folder import write_text
from ..study import Study
from .dashboard import write_notes
from .found_run import differences
from .run_content import RunContent
from .run_identity import URL_FILE, RunIdentity
from .server_runs import ServerRuns, WandbError
from .uploader_process import UploaderProcess
from .verify import expected_runs
from .wandb import require_project

WINDOW = 4
"""Runs that are uploaded at a time: the server limits the requests of a project."""

INIT_TIMEOUT_S = 60.0
FINISH_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Synced:
    """What a sync did.

    Attributes:
        uploaded: Ids of the runs that lacked something.
        num_complete: Runs that were whole before.
        failures: Reasons by run id.
        url: Of the project; empty where nothing was uploaded.
    """

    uploaded: tuple[str, ...]
    num_complete: int
    failures: dict[str, str]
    url: str


def sync(
    study: Study,
    project: str,
    *,
    is_new: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Synced:
    """Upload what W&B lacks: whole runs, the end of a run, a summary, a table, an artifact.

    Args:
        study: The truth.
        project: Of W&B.
        is_new: Upload everything under new ids: history in W&B can be appended to, not changed.
        say: Told of each run that was uploaded.

    Raises:
        WandbError: If the server cannot be reached or refuses the key.
        ValueError: If W&B would refuse the project.
    """
    require_project(project)
    server = ServerRuns(project)
    identity = RunIdentity.of(study.name, study.folder.path, is_new=is_new)
    trials, whole, skipped = expected_runs(study, identity)
    lacking: list[tuple[RunContent, dict[str, Any]]] = [
        (run, run.to_message()) for run in trials if differences(run, server.found(run.id))
    ]
    if not skipped and (
        differences(whole.run, server.found(whole.run.id)) or server.artifact_differences(whole)
    ):
        lacking.append((whole.run, whole.to_message()))
    num_runs = len(trials) + (0 if skipped else 1)
    if not lacking:
        return Synced((), num_runs, {}, "")
    failures, url = _upload(lacking, project, say)
    if url:
        write_text(study.folder.path / URL_FILE, url)
        write_notes(study)  # with links
    uploaded = tuple(run.id for run, _ in lacking if run.id not in failures)
    return Synced(uploaded, num_runs - len(lacking), failures, url)


def _upload(
    lacking: list[tuple[RunContent, dict[str, Any]]],
    project: str,
    say: Callable[[str], None],
) -> tuple[dict[str, str], str]:
    """Upload runs, a few at a time; the failures by id, and the project's address."""
    answers: SimpleQueue[Mapping[str, str]] = SimpleQueue()
    failures: dict[str, str] = {}
    url = ""
    with tempfile.TemporaryDirectory(prefix="tripletune-wandb-") as folder:
        options = {
            "folder": folder,
            "project": project,
            "mode": "online",
            "may_fall_back": False,
            "init_timeout_s": INIT_TIMEOUT_S,
            "finish_timeout_s": FINISH_TIMEOUT_S,
        }
        process = UploaderProcess(Path(folder), options, answers.put)
        waiting = iter(lacking)
        under_way: set[str] = set()
        num_over = 0
        try:
            while num_over < len(lacking):
                while len(under_way) < WINDOW and (following := next(waiting, None)):
                    process.send({"kind": "end", **following[1]})
                    under_way.add(following[0].id)
                answer = answers.get(timeout=INIT_TIMEOUT_S + FINISH_TIMEOUT_S)
                url = answer.get("url", url)
                over = answer.get("finished") or answer.get("failed")
                if over in under_way:
                    under_way.remove(over)
                    num_over += 1
                    if "failed" in answer:
                        failures[over] = answer["reason"]
                    say(f"{num_over} of {len(lacking)} runs: {over}")
            process.send({"kind": "close", "deadline": 0.0})
        except (OSError, Empty) as error:
            raise WandbError(
                f"the upload to W&B ended early ({type(error).__name__}); what arrived is kept: "
                "run the same command again"
            ) from error
        finally:
            process.wait(5.0)
    return failures, url
