"""The command that follows a search from another terminal: watch."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..folder import find_study
from .app import app
from .arguments import JsonLinesOption, RunsOption, StudyArgument


@app.command()
def watch(
    study: StudyArgument,
    once: Annotated[bool, typer.Option("--once", help="Show it as it is now, and end.")] = False,
    json_lines: JsonLinesOption = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Follow a search that runs in another terminal; it only reads the study.

    A table in a terminal, a line an event where it is piped. Ends with the search.

    Example: tripletune watch omniglot-20261123-101500
    """
    from ..json_lines import JsonLines
    from ..live import LiveTable
    from ..study import Study
    from ..trackers import Tracker
    from ..watching import POLL_S, StudyWatcher, follow

    folder = find_study(study, runs)
    opened = Study.open(folder)
    console = Console(quiet=json_lines)
    live, lines = LiveTable(console), JsonLines(sys.stdout)
    trackers: list[Tracker] = [lines] if json_lines else [live]
    watcher = StudyWatcher(opened, trackers)
    live.open(
        watcher.records,
        int(opened.settings.options["trials"]),
        opened.settings.baselines,
        study=opened.name,
        slots=opened.slots,
    )
    if json_lines:
        for record in watcher.records:
            lines.trial_known(record)

    def wait() -> bool:
        time.sleep(POLL_S)
        return not once

    try:
        follow(watcher, lambda: not once and folder.is_claimed(), wait)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        live.close()
        if json_lines:
            lines.study_ended(opened)
    if not json_lines and not folder.is_claimed():
        over = all(record.state != "running" for record in watcher.records)
        command = folder.command("leaderboard" if over else "resume")
        live.message(f"no process runs {opened.name}: {command}")
