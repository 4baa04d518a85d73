"""Serves the page of a study on this machine, and newer content while a search goes on."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ..study import Study
from .model import BestModel, best_model
from .page import NO_MODEL, page_content, render

LOOPBACK = "127.0.0.1"

FRESH_S = 2.0
"""Content younger than this is given as it is, however many pages ask."""

LOOKING = BestModel(None, "The best model is being looked into; it will stand here in a moment.")


class LiveContent:
    """The content of a page, made anew when the study has changed.

    The best model takes seconds to look into; that is done in a thread of its own, when another
    trial is the best, and the page has the rest meanwhile.

    Args:
        study: What to show; read only.
        with_model: Whether to look into the best model.
        clock: Seconds; tests give their own.
    """

    def __init__(
        self, study: Study, *, with_model: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study = study
        self._with_model = with_model
        self._clock = clock
        self._lock = threading.Lock()
        self._made = -FRESH_S
        self._mark: tuple[object, ...] | None = None
        self._content: dict[str, Any] = {}
        self._best: int | None = None
        self._model = NO_MODEL if not with_model else BestModel(None, "No trial is complete yet.")
        self._looking: threading.Thread | None = None

    def get(self) -> dict[str, Any]:
        """The content as it is now, at most `FRESH_S` old."""
        with self._lock:
            if self._clock() - self._made < FRESH_S:
                return self._content
            records = self._study.records()
            self._look_into(self._study.leaderboard().best)
            mark = (
                tuple((record.state, len(record.reports), record.attempts) for record in records),
                self._model,
            )
            if mark != self._mark:
                self._content = page_content(self._study, self._model)
                self._mark = mark
            self._made = self._clock()
            return self._content

    def wait(self) -> None:
        """Wait until the best model, if there is one, has been looked into."""
        looking = self._looking
        if looking is not None:
            looking.join()

    def _look_into(self, best: Any) -> None:
        number = None if best is None else best.number
        busy = self._looking is not None and self._looking.is_alive()
        if not self._with_model or number is None or number == self._best or busy:
            return
        self._best = number
        if self._model.content is None:
            self._model = LOOKING
        self._looking = threading.Thread(target=self._look, name="report-model", daemon=True)
        self._looking.start()

    def _look(self) -> None:
        self._model = best_model(self._study)
        self._made = -FRESH_S


@contextmanager
def report_server(content: LiveContent, *, port: int = 0) -> Iterator[str]:
    """Serve in the background; the address of the page is given.

    Only this machine can reach it, and only by its own name: a page of another site, whose name
    was made to point here, gets nothing.

    Raises:
        OSError: If the port is taken.
    """
    server = ThreadingHTTPServer((LOOPBACK, port), _handler(content))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="report-server", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve_report(
    study: Study, *, port: int, with_model: bool, say: Callable[[str], object]
) -> None:
    """Serve until Ctrl-C.

    Raises:
        OSError: If the port is taken.
    """
    content = LiveContent(study, with_model=with_model)
    with report_server(content, port=port) as address:
        say(f"{study.name} is shown at {address} until Ctrl-C")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _handler(content: LiveContent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name is http.server's
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            if host not in (LOOPBACK, "localhost"):
                self._send(403, "text/plain", b"this page is for the machine that serves it\n")
                return
            path = urlsplit(self.path).path
            try:
                if path == "/":
                    page = render(content.get(), live=True)
                    self._send(200, "text/html; charset=utf-8", page.encode())
                elif path == "/content.json":
                    self._send_content()
                else:
                    self._send(404, "text/plain", b"there is only / and /content.json\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the visitor left

        def _send_content(self) -> None:
            body = json.dumps(content.get(), allow_nan=False).encode()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            if self.headers.get("If-None-Match") == tag:
                self.send_response(304)
                self.send_header("ETag", tag)
                self.end_headers()
                return
            self._send(200, "application/json", body, tag)

        def _send(self, status: int, kind: str, body: bytes, tag: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            if tag is not None:
                self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
            """Say nothing: the terminal is the search's."""

    return Handler
