"""What the stand-in W&B server knows, and its answers to the client's GraphQL."""

import json
import math
import re
from collections.abc import Callable
from threading import Condition
from typing import Any

import wandb_artifacts

ENTITY = "team"

Variables = dict[str, Any]
Data = dict[str, Any]


class Store:
    """Runs, artifacts, views and uploaded files; kept in memory, shared by all requests."""

    def __init__(self) -> None:
        self.lock = Condition()
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.files: dict[str, str] = {}
        self.requests: list[str] = []

    def run(self, name: str) -> dict[str, Any]:
        """The run of that id, made where there is none; hold the lock."""
        new: dict[str, Any] = {
            "history": {},
            "summary": {},
            "tags": [],
            "config": "{}",
            "is_finished": False,
            "exit_code": None,
            "used_artifacts": [],
        }
        return self.runs.setdefault(name, new)

    def to_json(self) -> dict[str, Any]:
        """Everything received so far."""
        with self.lock:
            content = {
                "runs": self.runs,
                "artifacts": self.artifacts,
                "views": self.views,
                "files": self.files,
                "requests": self.requests,
            }
            return dict(json.loads(json.dumps(content)))


class Answers:
    """Answers by the name of the field that a query asks for."""

    def __init__(self, store: Store, address: Callable[[], str]) -> None:
        self.store = store
        self.address = address

    def resolve(self, query: str, variables: Variables) -> Data:
        """The data of an answer; empty for what a run can do without."""
        for pattern, answer in ANSWERS.items():
            if re.search(pattern, query):
                with self.store.lock:
                    self.store.requests.append(pattern)
                    found = answer(self, variables)
                    self.store.lock.notify_all()
                return found
        return {}

    def upsert_run(self, variables: Variables) -> Data:
        """The run that `UpsertBucket` makes or changes."""
        name = variables.get("name") or variables.get("id") or "unnamed"
        is_new = name not in self.store.runs
        run = self.store.run(name)
        for key in ("config", "groupName", "displayName", "tags", "project", "jobType"):
            if variables.get(key):
                run[key] = variables[key]
        if variables.get("summaryMetrics"):
            run["summary"] = json.loads(variables["summaryMetrics"])
        bucket = {
            "id": name,
            "name": name,
            "displayName": variables.get("displayName") or name,
            "description": "",
            "config": run["config"],
            "sweepName": None,
            "historyLineCount": len(run["history"]),
            "project": {**self.project(run), "id": "p"},
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": is_new}}

    def project(self, run: dict[str, Any]) -> Data:
        return {
            "id": "p",
            "name": run.get("project") or "p",
            "entity": {"id": "e", "name": ENTITY},
        }

    def resume_status(self, variables: Variables) -> Data:
        """What a resuming client asks: how far the run came, if it exists."""
        model = {"id": "p", "name": "p", "entity": {"id": "e", "name": ENTITY}}
        run = self.store.runs.get(variables["name"])
        if run is None:
            return {"model": model}
        lines = self.lines(run)
        bucket = {
            "id": variables["name"],
            "name": variables["name"],
            "summaryMetrics": json.dumps(run["summary"]),
            "displayName": run.get("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(lines),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in lines[-1:]]),
            "eventsTail": "[]",
            "config": run["config"],
            "tags": run["tags"],
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {"model": {**model, "bucket": bucket}}

    @staticmethod
    def lines(run: dict[str, Any]) -> list[dict[str, Any]]:
        """The history in the order of its offsets; JSON has no NaN, the server a text for it."""
        rows = [run["history"][offset] for offset in sorted(run["history"], key=int)]
        return [{name: _finite_or_text(value) for name, value in row.items()} for row in rows]

    def create_run_files(self, variables: Variables) -> Data:
        """Addresses for a run's files."""
        files = [
            {"name": name, "uploadUrl": f"{self.address()}/put/{variables['run']}/{name}"}
            for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}

    def one_run(self, variables: Variables) -> Data:
        """A run as the public API asks for it."""
        run = self.store.runs.get(variables.get("name") or variables.get("run") or "")
        return {"project": {"run": None if run is None else self.run_fields(run, variables)}}

    def run_fields(self, run: dict[str, Any], variables: Variables) -> Data:
        steps = [line["_step"] for line in run["history"].values()]
        state = "running"
        if run["is_finished"]:
            state = "finished" if run["exit_code"] == 0 else "failed"
        return {
            "projectId": "1",
            "id": variables.get("name"),
            "name": variables.get("name"),
            "displayName": run.get("displayName"),
            "tags": run["tags"],
            "sweepName": None,
            "state": state,
            "config": run["config"],
            "group": run.get("groupName"),
            "jobType": run.get("jobType"),
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00Z",
            "heartbeatAt": "2026-01-01T00:00:00Z",
            "description": "",
            "notes": "",
            "systemMetrics": "{}",
            "summaryMetrics": json.dumps(run["summary"]),
            "historyLineCount": len(run["history"]),
            "user": {"name": ENTITY, "username": ENTITY},
            "historyKeys": {"lastStep": max(steps, default=-1), "keys": {}, "sets": []},
        }

    def history_page(self, variables: Variables) -> Data:
        """Rows of a run's history between two steps."""
        run = self.store.run(variables["run"])
        low, high = variables["minStep"], variables["maxStep"]
        rows = [json.dumps(row) for row in self.lines(run) if low <= row["_step"] < high]
        return {"project": {"run": {"history": rows}}}

    def parquet_history(self, variables: Variables) -> Data:
        """Nothing exported: all of the history is live."""
        run = self.store.run(variables["runName"])
        history = {
            "parquetUrls": [],
            "liveData": self.lines(run),
        }
        return {"project": {"run": {"parquetHistory": history}}}

    def viewer(self, variables: Variables) -> Data:
        """Who is logged in."""
        viewer = {
            "id": "v",
            "entity": ENTITY,
            "username": ENTITY,
            "name": ENTITY,
            "email": "",
            "admin": False,
            "flags": "{}",
            "apiKeys": {"edges": []},
            "teams": {"edges": [{"node": {"name": ENTITY}}]},
        }
        return {"viewer": viewer, "serverInfo": None}

    def upsert_view(self, variables: Variables) -> Data:
        """A saved workspace or report."""
        key = variables.get("id") or wandb_artifacts.identifier("view", len(self.store.views))
        self.store.views[key] = variables
        view = {
            "id": key,
            "name": variables.get("name"),
            "type": variables.get("type"),
            "displayName": variables.get("displayName"),
            "description": variables.get("description"),
            "spec": variables.get("spec"),
            "project": {"id": "p", "name": "p", "entityName": ENTITY},
            "updatedAt": "2026-01-01T00:00:00Z",
            "createdAt": "2026-01-01T00:00:00Z",
            "createdBy": {"name": ENTITY, "username": ENTITY},
            "user": {"name": ENTITY, "photoUrl": "", "username": ENTITY},
        }
        return {"upsertView": {"view": view, "inserted": True}}


def _finite_or_text(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


ANSWERS: dict[str, Callable[[Answers, Variables], Data]] = {
    "upsertBucket": Answers.upsert_run,
    "RunResumeStatus": Answers.resume_status,
    "createRunFiles": Answers.create_run_files,
    "HistoryPage": Answers.history_page,
    "RunParquetHistory": Answers.parquet_history,
    r"\bcreateArtifact\(": wandb_artifacts.create_artifact,
    r"\bcreateArtifactManifest\(": wandb_artifacts.create_manifest,
    r"\bupdateArtifactManifest\(": wandb_artifacts.update_manifest,
    r"\bcreateArtifactFiles\(": wandb_artifacts.create_artifact_files,
    r"\bcommitArtifact\(": wandb_artifacts.commit_artifact,
    r"\buseArtifact\(": wandb_artifacts.use_artifact,
    r"query ArtifactType\b": wandb_artifacts.artifact_type,
    r"query ArtifactByID\b": wandb_artifacts.artifact_by_id,
    "artifactCollectionMembership": wandb_artifacts.artifact_by_name,
    "inputArtifacts": wandb_artifacts.input_artifacts,
    "clientIDMapping": wandb_artifacts.client_ids,
    "upsertView": Answers.upsert_view,
    r"\brun\(name": Answers.one_run,
    "viewer": Answers.viewer,
}
"""The first pattern that a query holds decides."""
