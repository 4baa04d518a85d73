"""The command that looks whether everything is there: doctor."""

import json
import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .app import app, complain
from .arguments import JsonOption
from .cluster import InsecureOption

if TYPE_CHECKING:
    from ...cluster.doctor import Finding
    from ...cluster.storage import Storage

STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}
COMMAND = "exec python -m tripletune doctor --json --address auto --nodes-only"
ANSWER_S = 300.0


@app.command()
def doctor(
    address: Annotated[
        str | None,
        typer.Option(help="Of a cluster: HEAD:6379, or http://HEAD:8265 of its dashboard."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="To be tried: s3://, gs:// or file://.")
    ] = None,
    insecure: InsecureOption = False,
    nodes_only: Annotated[bool, typer.Option("--nodes-only", hidden=True)] = False,
    as_json: JsonOption = False,
) -> None:
    """Look whether this machine, and a cluster, have what a search needs.

    Example: tripletune doctor --address http://10.0.0.5:8265 --storage s3://bucket/runs
    """
    from ...cluster import open_session
    from ...cluster.doctor import check_cluster, check_here
    from ...cluster.jobs import is_job_address
    from ...cluster.storage import Storage

    kept = Storage.parse(storage) if storage else None
    found: list[Finding] = []
    if not nodes_only:
        # A bucket is often out of reach from a person's machine, and need not be in it.
        found += check_here(os.environ, storage=kept if address is None else None)
    if address is not None and is_job_address(address):
        found += _by_job(address, kept, is_open_allowed=insecure)
    elif address is not None:
        with open_session(address):
            found += check_cluster(storage=kept)
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in found], indent=2))
    else:
        _print(found)
    if any(finding.status == "failed" for finding in found):
        raise typer.Exit(1)


def _by_job(address: str, storage: "Storage | None", *, is_open_allowed: bool) -> "list[Finding]":
    """What the nodes say, asked by a job: the way a search would go."""
    from ...cluster.doctor import Finding
    from ...cluster.jobs import STORAGE, STUDY, JobServer

    command = COMMAND + (f" --storage '{storage}'" if storage else "")
    with JobServer.connected(address, os.environ, is_open_allowed=is_open_allowed) as server:
        with tempfile.TemporaryDirectory(prefix="tripletune-") as folder:
            (Path(folder) / "doctor").touch()
            job = server.submit(
                name="doctor",
                command=command,
                folder=Path(folder),
                package=Path(str(files(__name__.partition(".")[0]))),
                metadata={STUDY: "doctor", STORAGE: str(storage or "")},
                variables={},
            )
        complain(f"asking the nodes by job {job}")
        ended = server.wait(job, ANSWER_S)
        printed = server.logs(job)
    try:
        rows: list[dict[str, Any]] = json.loads(printed[printed.index("\n[\n") :])
    except ValueError:
        last = printed.strip().splitlines()[-1:] or [ended.message or "nothing"]
        return [
            Finding(
                "job",
                address,
                "failed",
                f"{ended.status.lower()}: {last[0][:300]}",
                "install tripletune's dependencies on the nodes, of one version with yours; see "
                f"`tripletune logs {job} --address {address}`",
            )
        ]
    return [
        Finding("token", address, "ok", "accepted, and asked for"),
        *(Finding(**row) for row in rows),
    ]


def _print(found: "Sequence[Finding]") -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("question", no_wrap=True)
    table.add_column("where", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("answer and fix", overflow="fold")
    for finding in found:
        answer = finding.answer + (f"\n-> {finding.fix}" if finding.fix else "")
        table.add_row(
            finding.question,
            Text(finding.where),
            Text(finding.status, style=STYLES[finding.status]),
            Text(answer),  # an extra in square brackets is no markup
        )
    Console(highlight=False).print(table)
