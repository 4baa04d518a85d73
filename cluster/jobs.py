"""Ray Jobs on a cluster that is reached by HTTP alone: submit, list, follow, stop.

One boundary: whatever the job server or the network say leaves here as one line with the fix.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from .authentication import client_mode, ray_environment

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

ANSWER_TIMEOUT_S = 10.0
"""How long the server may take for a small answer, seconds."""

STOP_WAIT_S = 90
"""How long a job that is stopped may take to save itself; Ray would kill it after 3 s."""

MAX_PACKAGE_BYTES = 400 * 2**20
"""Of one package: it lies in the head's memory and passes in one message of at most 512 MiB."""

HEAD_AWAY_S = 300.0
"""How long one that follows a job waits for a head that is being restarted, seconds."""

STUDY, STORAGE = "study", "storage"
"""Keys of a job's metadata."""

_OVER = ("SUCCEEDED", "FAILED", "STOPPED")


class JobError(Exception):
    """What a job server refused, or a job that is not there; the message says what to do."""


@dataclass(frozen=True)
class Job:
    """A job of ours.

    Attributes:
        id: Of the submission.
        study: That it runs.
        storage: That keeps the study.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: Of Ray about the status.
        started: Unix seconds; None before.
        ended: Unix seconds; None before.
        driver: Address of the node with its driver; empty before.
    """

    id: str
    study: str
    storage: str
    status: str
    message: str
    started: float | None
    ended: float | None
    driver: str

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in _OVER

    @classmethod
    def of(cls, details: "JobDetails") -> Self:
        """What Ray says of it."""
        metadata = details.metadata or {}
        return cls(
            id=str(details.submission_id),
            study=metadata.get(STUDY, ""),
            storage=metadata.get(STORAGE, ""),
            status=str(details.status.value),
            message=details.message or "",
            started=details.start_time / 1000 if details.start_time else None,
            ended=details.end_time / 1000 if details.end_time else None,
            driver=urlsplit(details.driver_agent_http_address or "").hostname or "",
        )


class JobServer:
    """The job server of a head; see `connected`."""

    def __init__(self, address: str, client: "JobSubmissionClient") -> None:
        """Use `connected`."""
        self.address = address
        self._client = client

    @classmethod
    @contextmanager
    def connected(
        cls, address: str, environment: Mapping[str, str], *, is_open_allowed: bool = False
    ) -> Iterator[Self]:
        """A server that answers and takes this process's token.

        Args:
            address: `http://HEAD:8265`, the one of the dashboard.
            environment: Of this process: RAY_AUTH_MODE, RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH.
            is_open_allowed: Whether a cluster that asks nobody for a token may be used.

        Raises:
            ValueError: The address is none.
            ConnectionError: Nothing answers there.
            JobError: The token is missing or wrong, or the cluster asks for none.
        """
        address = _checked(address)
        _require_client()
        with _mapped(address):
            status = _status_without_token(address)
        if status == 200 and not is_open_allowed:
            raise JobError(
                f"the cluster at {address} asks for no token: whoever reaches it runs code there "
                "and reads what you send. Start it with RAY_AUTH_MODE=token and a token "
                "(`ray get-auth-token --generate`), or accept it with --insecure"
            )
        with ray_environment(client_mode(environment)), _quiet_client():
            from ray.job_submission import JobSubmissionClient

            with _mapped(address):
                server = cls(address, JobSubmissionClient(address))
            yield server

    def version(self) -> str:
        """Ray's version on the head."""
        with _mapped(self.address):
            return str(self._client.get_version())

    def worker_nodes(self) -> tuple[str, list[str]]:
        """Id of the head's node, and those of the other living nodes."""
        with _mapped(self.address):
            response = self._client._do_request(
                "GET", "/api/v0/nodes?detail=1&limit=10000", timeout=ANSWER_TIMEOUT_S
            )
            response.raise_for_status()
            nodes = response.json()["data"]["result"]["result"]
        living = [node for node in nodes if node["state"] == "ALIVE"]
        heads = [node["node_id"] for node in living if node["is_head_node"]]
        return (
            heads[0] if heads else "",
            [node["node_id"] for node in living if not node["is_head_node"]],
        )

    def put_package(self, name: str, content: bytes) -> str:
        """Leave bytes for a driver, which `taken_package` gives it; kept if they are there.

        Ray forgets them ten minutes after nobody asked for them.

        Returns:
            Their address within the cluster.
        """
        if len(content) > MAX_PACKAGE_BYTES:
            raise JobError(
                f"a package must be <= {MAX_PACKAGE_BYTES >> 20} MiB, got {len(content) >> 20} MiB"
            )
        uri = f"gcs://{_PACKAGE_PREFIX}{name}.zip"
        with _mapped(self.address):
            if not self._client._package_exists(uri):
                response = self._client._do_request(
                    "PUT", f"/api/packages/gcs/{uri.removeprefix('gcs://')}", data=content
                )
                response.raise_for_status()
        return uri

    def submit(
        self,
        *,
        name: str,
        command: str,
        folder: Path,
        package: Path,
        metadata: Mapping[str, str],
        variables: Mapping[str, str],
    ) -> str:
        """Submit a job whose driver sits beside the workers, where there are any.

        Args:
            name: The id begins with it.
            command: Of the driver, for a shell, run in a copy of the folder.
            folder: With the job's files.
            package: Folder of the Python package that every process can import.
            metadata: Shown to everyone who lists jobs.
            variables: Of the environment, shown to everyone who lists jobs: nothing secret.

        Returns:
            Its id.
        """
        head, workers = self.worker_nodes()
        submission = f"{name}-{secrets.token_hex(3)}"
        with _mapped(self.address):
            return str(
                self._client.submit_job(
                    entrypoint=command,
                    submission_id=submission,
                    runtime_env={
                        "working_dir": str(folder),
                        "py_modules": [str(package)],
                        "excludes": ["**/__pycache__"],
                        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), **variables},
                    },
                    metadata=dict(metadata),
                    # Whoever takes the head down for an upgrade takes such a driver along.
                    entrypoint_label_selector={"ray.io/node-id": f"!{head}"} if workers else None,
                )
            )

    def jobs(self) -> list[Job]:
        """Those that run studies, the newest first."""
        with _mapped(self.address):
            found = [
                Job.of(details)
                for details in self._client.list_jobs()
                if details.submission_id and STUDY in (details.metadata or {})
            ]
        return sorted(found, key=lambda job: job.started or 0.0, reverse=True)

    def job(self, name: str) -> Job:
        """The job of an id, or the newest of a study.

        Raises:
            JobError: There is none.
        """
        jobs = self.jobs()
        for job in jobs:
            if name == job.id:
                return job
        for job in jobs:
            if name == job.study:
                return job
        known = ", ".join(job.id for job in jobs[:10])
        raise JobError(
            f"no job and no study {name!r} at {self.address}; "
            + (f"there are: {known}" if known else "nothing was submitted there, or its head was ")
            + ("" if known else "restarted without its memory")
        )

    def logs(self, job: str) -> str:
        """Everything that a job printed so far."""
        with _mapped(self.address, job):
            return str(self._client.get_job_logs(job))

    def follow(self, job: str, write: Callable[[str], None], say: Callable[[str], None]) -> Job:
        """Pass on what a job prints, to its end, also over a restart of the head.

        Args:
            job: Its id.
            write: Takes what was printed.
            say: Takes a line about a head that is away.

        Returns:
            The job at its end.
        """
        written, away_since = 0, None
        while True:
            try:
                with _mapped(self.address, job):
                    written += asyncio.run(self._pass_on(job, written, write))
                    now = self.job(job)
                away_since = None
                if now.is_over:
                    rest = self.logs(job)[written:]
                    write(rest)
                    return now
            except ConnectionError:
                if away_since is None:
                    away_since = time.monotonic()
                    say(f"{self.address} does not answer; waiting for it")
                elif time.monotonic() - away_since > HEAD_AWAY_S:
                    raise
            time.sleep(1.0)

    async def _pass_on(self, job: str, already: int, write: Callable[[str], None]) -> int:
        """One connection's worth of a log; returns how many characters were new."""
        seen = 0
        async for text in self._client.tail_job_logs(job):
            new = text[max(0, already - seen) :]
            seen += len(text)
            if new:
                write(new)
        return max(0, seen - already)

    def stop(self, job: str) -> bool:
        """Ask a job to save itself and end.

        Returns:
            Whether it was running.
        """
        with _mapped(self.address, job):
            return bool(self._client.stop_job(job))

    def wait(self, job: str, timeout_s: float) -> Job:
        """The job when it has ended, or as it is after a while."""
        deadline = time.monotonic() + timeout_s
        while not (now := self.job(job)).is_over and time.monotonic() < deadline:
            time.sleep(0.5)
        return now


_NO_ANSWER = "nothing answers as Ray's job server"
_PACKAGE_PREFIX = "_ray_pkg_tripletune_"


def taken_package(uri: str, *, keep: bool = False) -> bytes | None:
    """What `put_package` left in the cluster that this process is connected to; None if gone.

    Args:
        uri: Its address.
        keep: Whether it stays there; a secret does not.
    """
    from ray._private.ray_constants import KV_NAMESPACE_PACKAGE
    from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get

    content: bytes | None = _internal_kv_get(uri, namespace=KV_NAMESPACE_PACKAGE)
    if content is not None and not keep:
        _internal_kv_del(uri, namespace=KV_NAMESPACE_PACKAGE)
    return content


def is_job_address(address: str | None) -> bool:
    """Whether an address is that of a job server, not of a head itself."""
    return address is not None and address.startswith(("http://", "https://"))


def _checked(address: str) -> str:
    parts = urlsplit(address)
    if not is_job_address(address) or not parts.hostname or "@" in parts.netloc:
        shown = f"one with a user for {parts.hostname}" if "@" in parts.netloc else address
        raise ValueError(
            f"address must be that of the dashboard, such as http://10.0.0.5:8265, got {shown}"
        )
    return address.rstrip("/")


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Ray's client without its lines about packages and sockets."""
    loggers = [logging.getLogger(name) for name in _CLIENT_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_CLIENT_LOGGERS = (
    "ray._private.runtime_env.packaging",
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
)


def _require_client() -> None:
    try:
        import aiohttp  # noqa: F401  # what Ray's client follows logs with
        import ray.job_submission  # noqa: F401
    except ImportError as error:
        raise JobError(
            "jobs need Ray's client, which is not installed: pip install 'tripletune[cluster]'"
        ) from error


def _status_without_token(address: str) -> int:
    """HTTP status of a question that needs a token where a cluster wants one."""
    import requests

    return requests.get(f"{address}/api/jobs/", timeout=ANSWER_TIMEOUT_S).status_code


@contextmanager
def _mapped(address: str, job: str = "") -> Iterator[None]:
    """Errors of Ray's client and of the network, as one line with the fix."""
    import aiohttp
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        text = str(error)
        is_missing = "Missing" in text or "missing" in text or "No " in text
        raise JobError(
            f"the cluster at {address} "
            + ("asks for a token, and none was sent" if is_missing else "refused the token")
            + "; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to what "
            "`ray get-auth-token` prints on its head"
        ) from error
    except (
        requests.ConnectionError,
        requests.Timeout,
        aiohttp.ClientError,
        ConnectionError,
    ) as error:
        if str(error).startswith(_NO_ANSWER):  # said by a call within
            raise
        raise ConnectionError(
            f"{_NO_ANSWER} at {address}; check host and port (8265 is "
            "usual), and that the head was started with --dashboard-host where you come from "
            "another machine, or open a tunnel: ssh -L 8265:127.0.0.1:8265 HEAD"
        ) from error
    except requests.HTTPError as error:
        raise JobError(_http_problem(address, job, str(error))) from error
    except RuntimeError as error:
        raise JobError(_http_problem(address, job, str(error))) from error


def _http_problem(address: str, job: str, text: str) -> str:
    line = next((line for line in reversed(text.splitlines()) if line.strip()), text)
    if "404" in text[:60] or "does not exist" in text:
        return (
            f"the cluster at {address} knows no job {job!r}: its head may have been restarted "
            "without its memory; look with `tripletune jobs`"
            if job
            else f"{address} is no job server of Ray (404): give the dashboard's address"
        )
    if "already exists" in text:
        return f"a job of this name exists at {address}; submit again"
    return f"the job server at {address} failed: {line.strip()[:300]}"
