"""Reads one JSON message a line from standard input, until `close` or the end of its parent."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import IO

from .login import decide_mode
from .uploader import Uploader

ORPHANED_CLOSE_S = 20.0
"""How long uploads may take when the driver died without closing."""


def follow(lines: Iterator[str], output: IO[str]) -> None:
    """Carries out the messages; returns when the runs are finished."""
    options = json.loads(next(lines))
    options["mode"] = decide_mode(options["mode"])
    uploader = Uploader(**options, output=output)
    deadline = None
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:  # the driver was killed in the middle of a line
            break
        if message["kind"] == "close":
            deadline = message["deadline"]
            break
        try:
            if message["kind"] == "open":
                uploader.open(message["run"], message["rows"], message["summary"])
            elif message["kind"] == "row":
                uploader.log_row(message["id"], message["row"], message["summary"])
            else:
                uploader.end(message)
        except Exception as error:  # the edge of one run: the others go on
            traceback.print_exc()  # standard error is a file beside the runs
            uploader.warn_of_failure(message.get("id") or message["run"]["id"], error)
    uploader.close(time.time() + ORPHANED_CLOSE_S if deadline is None else deadline)


def main() -> None:
    """Takes over standard input and output, follows the messages and ends the process."""
    # The driver closes us when it is done; Ctrl-C and the stop of a Ray job are told to both.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # W&B would import it (2 s, 60 MB) to ask of every value whether it is a data frame.
    sys.modules["pandas"] = None  # type: ignore[assignment]  # how Python says: not to be had
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # so that W&B neither prompts on nor prints into our messages
        os.dup2(nothing, standard)
    try:
        follow(lines, output)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    # At a normal exit W&B would go on trying to upload.
    os._exit(0)


if __name__ == "__main__":
    main()
