"""A stand-in W&B server for the real client: a process of its own, on a free loopback port.

It answers the few requests that a run makes, keeps what arrives in memory, prints its address as
its first line and gives what it holds at `GET /received`. Kill the process to take it down.

    python wandb_server.py [--refuse-key]
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition
from typing import Any

ENTITY = "team"
refuses_key = "--refuse-key" in sys.argv
lock = Condition()
runs: dict[str, dict[str, Any]] = {}


def upsert(variables: dict[str, Any]) -> dict[str, Any]:
    """The run that `UpsertBucket` makes or changes."""
    name = variables.get("name") or variables.get("id") or "unnamed"
    with lock:
        is_new = name not in runs
        run = runs.setdefault(name, {"history": {}, "summary": {}, "is_finished": False})
        for key in ("config", "groupName", "displayName", "tags", "project"):
            if variables.get(key):
                run[key] = variables[key]
        lock.notify_all()
    project = {"name": variables.get("project") or "p", "entity": {"name": ENTITY}}
    bucket = {
        "id": name,
        "name": name,
        "displayName": variables.get("displayName") or name,
        "description": "",
        "config": variables.get("config") or "{}",
        "sweepName": None,
        "historyLineCount": len(run["history"]),
        "project": {"id": "p", **project},
    }
    return {"upsertBucket": {"bucket": bucket, "inserted": is_new}}


def resume_status(variables: dict[str, Any]) -> dict[str, Any]:
    """What a resuming client asks: how far the run came, if it exists."""
    model = {"id": "p", "name": "p", "entity": {"id": "e", "name": ENTITY}}
    with lock:
        run = runs.get(variables["name"])
        if run is None:
            return {"model": model}
        lines = [run["history"][offset] for offset in sorted(run["history"])]
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
            "config": run.get("config") or "{}",
            "tags": run.get("tags") or [],
            "wandbConfig": json.dumps({"t": 1}),
        }
    return {"model": {**model, "bucket": bucket}}


class Handler(BaseHTTPRequestHandler):
    """One request of the client."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Everything received so far; with `/wait/N`, once N runs are known."""
        wanted = int(self.path.removeprefix("/wait/")) if self.path.startswith("/wait/") else 0
        with lock:
            lock.wait_for(lambda: len(runs) >= wanted)
            text = json.dumps(runs)
        self.answer(json.loads(text))

    def do_PUT(self) -> None:
        """An uploaded file: taken and forgotten."""
        self.body()
        self.answer({})

    def do_POST(self) -> None:
        """A GraphQL query, or lines of a run's streamed files."""
        body = json.loads(self.body())
        stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
        if stream:
            self.take_lines(stream.group(1), body)
            self.answer({"exitcode": None, "limits": {}})
        elif refuses_key:
            self.answer({"errors": [{"message": "user is not logged in"}]}, status=401)
        else:
            self.answer({"data": self.resolve(body["query"], body.get("variables") or {})})

    def take_lines(self, run_id: str, body: dict[str, Any]) -> None:
        """Stores history by its offset, so that a repeated upload changes nothing."""
        with lock:
            run = runs.setdefault(run_id, {"history": {}, "summary": {}, "is_finished": False})
            files = body.get("files") or {}
            history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
            for index, line in enumerate(history["content"]):
                run["history"][history["offset"] + index] = json.loads(line)
            for line in files.get("wandb-summary.json", {"content": []})["content"]:
                run["summary"].update(json.loads(line))
            if body.get("complete"):
                run["is_finished"], run["exit_code"] = True, body.get("exitcode")
            else:
                run["is_finished"] = False

    def resolve(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL answer; empty for what a run can do without."""
        if "upsertBucket" in query:
            return upsert(variables)
        if "RunResumeStatus" in query:
            return resume_status(variables)
        if "createRunFiles" in query:
            host = f"http://{self.headers['Host']}"
            files = [{"name": f, "uploadUrl": f"{host}/put/{f}"} for f in variables["files"]]
            run_files = {"runID": "run", "uploadHeaders": [], "files": files}
            return {"createRunFiles": run_files}
        if "viewer" in query:
            viewer = {"id": "v", "entity": ENTITY, "username": ENTITY, "flags": "{}"}
            return {"viewer": {**viewer, "teams": {"edges": []}}, "serverInfo": None}
        return {}

    def body(self) -> bytes:
        """The whole body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        """Sends JSON."""
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base names it
        """Says nothing: the first line of the output is the address."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
