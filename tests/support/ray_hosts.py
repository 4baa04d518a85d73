"""A Ray cluster on the hosts of `hosts.network`, with a bucket beside it."""

import json
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import LONG_S, ROOT
from hosts import Host, network

STARTS = 4
"""So often a node is started that Ray gave up on: it allows 30 s."""

GCS_PORT, DASHBOARD_PORT, BUCKET_PORT = 6379, 8265, 5000
BUCKET = "bucket"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLEOFTESTS", "s3-secret-of-tests-0123456789"

HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
    "RAY_worker_niceness": "0",
}
"""A cut cable is noticed after some ten seconds, a busy machine is not taken for one."""

_MAKE_BUCKET = f"""
import boto3
boto3.client(
    "s3", endpoint_url="http://{{ip}}:{BUCKET_PORT}", region_name="us-east-1"
).create_bucket(Bucket="{BUCKET}")
"""


@dataclass
class RayHosts:
    """The head, its workers, a client with nothing but HTTP, and a host with the bucket.

    Attributes:
        hosts: By name: head, one, two, client, store.
        token: That the cluster asks for.
    """

    hosts: dict[str, Host]
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def address(self) -> str:
        """Of the job server."""
        return f"http://{self.hosts['head'].ip}:{DASHBOARD_PORT}"

    @property
    def storage(self) -> str:
        """Of the studies."""
        endpoint = f"{self.hosts['store'].ip}:{BUCKET_PORT}"
        return f"s3://{BUCKET}/runs?endpoint_override={endpoint}&scheme=http&region=us-east-1"

    def node_environment(self, host: Host) -> dict[str, str]:
        """Of Ray on a host: the token, and the right to use the bucket."""
        return host.environment(
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=self.token,
            RAY_USAGE_STATS_ENABLED="0",
            RAY_gcs_storage="rocksdb",
            RAY_gcs_storage_path=str(self.hosts["head"].disk / "gcs"),
            AWS_ACCESS_KEY_ID=ACCESS_KEY,
            AWS_SECRET_ACCESS_KEY=SECRET_KEY,
            AWS_EC2_METADATA_DISABLED="true",
            **HEALTH,
        )

    def start_head(self) -> None:
        """With no CPUs of its own: trials and drivers are for the workers."""
        head = self.hosts["head"]
        (head.disk / "gcs").mkdir(exist_ok=True)
        self._ray(
            head,
            *("--head", f"--port={GCS_PORT}", "--num-cpus=0"),
            *(f"--dashboard-host={head.ip}", f"--dashboard-port={DASHBOARD_PORT}"),
        )

    def start_workers(self, *names: str) -> None:
        """At once, with two CPUs each."""
        with ThreadPoolExecutor() as pool:
            head = f"--address={self.hosts['head'].ip}:{GCS_PORT}"
            started = [
                pool.submit(self._ray, self.hosts[name], head, "--num-cpus=2", "--num-gpus=0")
                for name in names
            ]
            for start in started:
                start.result()

    def end_ray(self, name: str) -> None:
        """Kill every process of Ray on a host, with no chance to say goodbye."""
        host = self.hosts[name]
        # It kills all that the process namespace of the host holds, and nothing else.
        ended = host.run("ray", "stop", "--force", environment=self.node_environment(host))
        assert ended.returncode == 0, ended.stderr

    def _ray(self, host: Host, *arguments: str) -> None:
        for _ in range(STARTS):
            started = host.run(
                *("ray", "start", f"--node-ip-address={host.ip}", f"--temp-dir={host.disk}/ray"),
                *("--object-store-memory=120000000", "--disable-usage-stats", *arguments),
                environment=self.node_environment(host),
                timeout_s=LONG_S,
            )
            if "timed out during startup" not in started.stderr:
                break
            self.end_ray(host.name)
        assert started.returncode == 0, started.stdout + started.stderr

    def start_bucket(self, afterwards: ExitStack) -> None:
        """An S3 server in memory, which ends with its host."""
        store = self.hosts["store"]
        process = subprocess.Popen(
            store.command("moto_server", "-H", store.ip, "-p", str(BUCKET_PORT)),
            env=store.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        afterwards.callback(process.stderr.close)
        afterwards.callback(process.wait)
        afterwards.callback(process.kill)
        lines = iter(process.stderr.readline, "")
        assert any("Running on" in line for line in lines)
        threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
        made = store.run(
            *(sys.executable, "-c", _MAKE_BUCKET.format(ip=store.ip)),
            environment=self.node_environment(store),
        )
        assert made.returncode == 0, made.stderr

    def tripletune(
        self, *arguments: str | Path, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """A command on the client's host, which has the token and no more."""
        client = self.hosts["client"]
        return client.run(
            *(sys.executable, "-m", "tripletune", *arguments),
            environment=self.client_environment(**changes),
            timeout_s=LONG_S,
        )

    def client_environment(self, **changes: str) -> dict[str, str]:
        """Of a person's machine."""
        usual = {
            "PYTHONPATH": str(ROOT / ".pkg"),
            "TRIPLETUNE_ADDRESS": self.address,
            "TRIPLETUNE_BUCKET": self.storage,
            "RAY_AUTH_TOKEN": self.token,
            "RAY_AUTH_MODE": "token",
        }
        return self.hosts["client"].environment(**(usual | changes))

    def leaderboard(self, study: str) -> dict[str, Any]:
        """Of the study that the bucket keeps, read where there are rights to."""
        one = self.hosts["one"]
        environment = self.node_environment(one) | {"PYTHONPATH": str(ROOT / ".pkg")}
        for arguments in (
            ("fetch", study, "--storage", self.storage, "--runs", "fetched"),
            ("leaderboard", study, "--runs", "fetched", "--json"),
        ):
            done = one.run("tripletune", *arguments, environment=environment)
            assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def pids(self, name: str, word: str) -> list[int]:
        """Processes of a host whose command holds a word, seen from outside."""
        found = []
        own = Path(f"/proc/{self.hosts[name].pid}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns" / "pid").readlink() == own and word in (
                    process / "cmdline"
                ).read_bytes().decode(errors="replace"):
                    found.append(int(process.name))
            except OSError:
                continue
        return found


@contextmanager
def ray_hosts() -> Iterator[RayHosts]:
    """The hosts and the bucket; Ray is started by the test."""
    # The server's pipe ends with its host: first that, then what waits for it.
    names = ["head", "one", "two", "client", "store"]
    with ExitStack() as afterwards, network(names) as hosts:
        cluster = RayHosts(hosts)
        cluster.start_bucket(afterwards)
        yield cluster


class Followed:
    """A command of the client that runs and prints."""

    def __init__(self, cluster: RayHosts, *arguments: str, **changes: str) -> None:
        client = cluster.hosts["client"]
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            client.command(sys.executable, "-m", "tripletune", *arguments),
            env=cluster.client_environment(**changes),
            cwd=client.disk,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        """Everything printed that was waited for."""
        return "".join(self.lines)

    def wait_for(self, words: str) -> str:
        """The next line with these words; fails if the command ends before."""
        while True:
            line = self._queue.get(timeout=LONG_S)
            assert line is not None, f"ended with {self._process.wait()} after:\n{self.text}"
            self.lines.append(line)
            if words in line:
                return line

    def wait(self) -> int:
        """Exit status at its end."""
        while (line := self._queue.get(timeout=LONG_S)) is not None:
            self.lines.append(line)
        return self._process.wait(timeout=LONG_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._queue.put(line)
        self._queue.put(None)


def job_of(cluster: RayHosts, study: str) -> dict[str, Any]:
    """As `tripletune jobs --json` prints the newest of a study."""
    listed = cluster.tripletune("jobs", "--json")
    assert listed.returncode == 0, listed.stderr
    jobs: list[dict[str, Any]] = json.loads(listed.stdout)
    return next(job for job in jobs if job["study"] == study)
