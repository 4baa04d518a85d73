"""A stand-in W&B server for the real client: a process of its own, on a free loopback port.

It answers the requests of runs, artifacts, saved views and the public API, keeps what arrives in
memory, and prints the address of its API and that of its control port as its first line. At the
control port:

    GET  /                  everything received, as JSON
    GET  /wait/runs/N       the same, once N runs are known; /wait/requests/N for refused ones
    POST /fault             {"kind": "none" | "refuse" | "503" | "429" | "hang" | "slow" | "key"}
    POST /change            {"run": ID, ...}: plants a difference, see `Control.change`

    python wandb_server.py
"""

import gzip
import json
import re
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from wandb_graphql import Answers, Store

SLOW_S = 1.0


class Faults:
    """What is wrong with the server at the moment."""

    def __init__(self) -> None:
        self.kind = "none"
        self.is_over = Event()
        self.num_refused = 0

    def begin(self, kind: str) -> None:
        """Change what is wrong; requests that hang are let go."""
        self.kind = kind
        self.is_over.set()
        self.is_over = Event()


class JsonHandler(BaseHTTPRequestHandler):
    """Reads and writes bodies."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        """The whole body of the request, chunked or compressed or not."""
        content = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline().strip() or b"0", 16):
                content += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content

    def answer(self, content: Any, status: int = 200) -> None:
        """Send JSON."""
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base names it
        """Say nothing: the first line of the output is the address."""


class Server(ThreadingHTTPServer):
    """Serves on a socket that is already bound, so that its port stays ours while it is down."""

    daemon_threads = True
    store: Store
    faults: Faults
    answers: Answers

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler, bind_and_activate=False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.server_bind()
        self.server_activate()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of ours."""


class Handler(JsonHandler):
    """One request of the client."""

    server: Server

    def handle_one_request(self) -> None:
        """Answer, unless something is wrong."""
        super().handle_one_request()

    def is_wrong(self) -> bool:
        """Whether the request met a fault, which then has answered it."""
        faults = self.server.faults
        kind = faults.kind
        if kind == "none":
            return False
        if kind == "slow":
            faults.is_over.wait(SLOW_S)
            return False
        body = self.body()
        with self.server.store.lock:
            faults.num_refused += 1
            self.server.store.lock.notify_all()
        if kind == "key":
            self.answer({"errors": [{"message": "user is not logged in"}]}, status=401)
        elif kind in ("503", "429"):
            self.answer({"error": "come back later"}, status=int(kind))
        else:  # hang: no answer until the fault is over; refuse: no answer at all
            if kind == "hang":
                faults.is_over.wait()
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        del body
        return True

    def do_GET(self) -> None:
        """Nothing can be downloaded."""
        if not self.is_wrong():
            self.answer({}, status=404)

    def do_PUT(self) -> None:
        """An uploaded file."""
        if self.is_wrong():
            return
        content = self.body()
        with self.server.store.lock:
            path = self.path.removeprefix("/put/").split("?")[0]
            self.server.store.files[path] = content.decode("utf-8", "replace")[:200_000]
        self.answer({})

    def do_POST(self) -> None:
        """A GraphQL query, or lines of a run's streamed files."""
        if self.is_wrong():
            return
        body = json.loads(self.body())
        stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
        if stream:
            self.take_lines(stream.group(1), body)
            self.answer({"exitcode": None, "limits": {}})
            return
        self.answer(
            {"data": self.server.answers.resolve(body["query"], body.get("variables") or {})}
        )

    def take_lines(self, run_id: str, body: dict[str, Any]) -> None:
        """Store history by its offset, so that a repeated upload changes nothing."""
        store = self.server.store
        with store.lock:
            store.requests.append("file_stream")
            run = store.run(run_id)
            files = body.get("files") or {}
            history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
            for index, line in enumerate(history["content"]):
                run["history"][str(history["offset"] + index)] = json.loads(line)
            for line in files.get("wandb-summary.json", {"content": []})["content"]:
                run["summary"] = json.loads(line)
            run["is_finished"] = bool(body.get("complete"))
            run["exit_code"] = body.get("exitcode")
            store.lock.notify_all()


class Control(JsonHandler):
    """One request of a test."""

    server: "ControlServer"

    def do_GET(self) -> None:
        """Everything received so far; with `/wait/runs/N`, once N runs are known."""
        target = self.server.target
        store = target.store
        waited = re.fullmatch(r"/wait/(runs|requests|finished)/(\d+)", self.path)
        if waited:
            kind, wanted = waited[1], int(waited[2])

            def is_there() -> bool:
                if kind == "requests":
                    return target.faults.num_refused >= wanted
                runs = store.runs.values()
                is_enough = sum(kind == "runs" or run["is_finished"] for run in runs) >= wanted
                return bool(is_enough)

            with store.lock:
                store.lock.wait_for(is_there)
        self.answer(store.to_json() | {"num_refused": target.faults.num_refused})

    def do_POST(self) -> None:
        """A fault, or a change of what was received."""
        content = json.loads(self.body())
        if self.path == "/fault":
            self.server.set_fault(content["kind"])
        else:
            self.change(content)
        self.answer({})

    def change(self, wanted: dict[str, Any]) -> None:
        """Plant a difference in a run.

        `remove_row` takes a row of the history out, by its step; `row` with `values` changes one;
        `fields` changes fields of the run; `summary` changes its summary; `remove` takes the run
        away; `aliases` changes those of an artifact, by `artifact`.
        """
        store = self.server.target.store
        with store.lock:
            if "artifact" in wanted:
                for artifact in store.artifacts.values():
                    if artifact["name"] == wanted["artifact"]:
                        artifact["aliases"] = wanted["aliases"]
                return
            run = store.runs[wanted["run"]]
            if wanted.get("remove"):
                del store.runs[wanted["run"]]
            if "remove_row" in wanted:
                rows = run["history"].values()
                left = [row for row in rows if row["_step"] != wanted["remove_row"]]
                run["history"] = {str(place): row for place, row in enumerate(left)}
                run["summary"]["_step"] = max((row["_step"] for row in left), default=0)
            if "row" in wanted:
                for row in run["history"].values():
                    if row["_step"] == wanted["row"]:
                        row.update(wanted["values"])
            run["summary"].update(wanted.get("summary", {}))
            run.update(wanted.get("fields", {}))


class ControlServer(Server):
    """The control port; it takes the API's port down and up again."""

    def __init__(self) -> None:
        super().__init__(0, Control)
        self.target = self.listen(0)
        # Holds the port while nobody listens there, and refuses connections meanwhile.
        self.held = socket.socket()
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.held.bind(("127.0.0.1", self.target.server_port))

    def listen(self, port: int) -> Server:
        """Begin to serve the API."""
        target = Server(port, Handler)
        target.store, target.faults = Store(), Faults()
        self.serve(target)
        return target

    def serve(self, target: Server) -> None:
        """Answer in a thread."""
        target.answers = Answers(target.store, lambda: f"http://127.0.0.1:{target.server_port}")
        Thread(target=target.serve_forever, args=(0.05,), daemon=True).start()

    def set_fault(self, kind: str) -> None:
        """Change what is wrong with the API."""
        before = self.target
        if "refuse" in (kind, before.faults.kind) and kind != before.faults.kind:
            if kind == "refuse":
                before.shutdown()
                before.server_close()
            else:
                self.target = Server(before.server_port, Handler)
                self.target.store, self.target.faults = before.store, before.faults
                self.serve(self.target)
        before.faults.begin(kind)


if __name__ == "__main__":
    control = ControlServer()
    addresses = [f"http://127.0.0.1:{s.server_port}" for s in (control.target, control)]
    sys.stdout.write(" ".join(addresses) + "\n")
    sys.stdout.flush()
    control.serve_forever()
