"""A Ray cluster on the hosts of `hosts.network`, with a bucket beside it."""

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from command_line import LONG_S, ROOT
from hosts import Host, network

GCS_PORT, DASHBOARD_PORT, BUCKET_PORT = 6379, 8265, 5000
BUCKET = "bucket"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLEOFTESTS", "s3-secret-of-tests-0123456789"

HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
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

    def start_worker(self, name: str, *, gpus: int = 1) -> None:
        """With two CPUs, and GPUs that are only counted."""
        self._ray(
            self.hosts[name],
            *(f"--address={self.hosts['head'].ip}:{GCS_PORT}", "--num-cpus=2"),
            f"--num-gpus={gpus}",
        )

    def _ray(self, host: Host, *arguments: str) -> None:
        started = host.run(
            *("ray", "start", f"--node-ip-address={host.ip}", f"--temp-dir={host.disk}/ray"),
            *("--object-store-memory=120000000", "--disable-usage-stats", *arguments),
            environment=self.node_environment(host),
            timeout_s=LONG_S,
        )
        assert started.returncode == 0, started.stdout + started.stderr

    def start_bucket(self) -> None:
        """An S3 server in memory."""
        store = self.hosts["store"]
        process = subprocess.Popen(
            store.command("moto_server", "-H", store.ip, "-p", str(BUCKET_PORT)),
            env=store.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
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
    with ExitStack() as stack:
        hosts = stack.enter_context(network(["head", "one", "two", "client", "store"]))
        cluster = RayHosts(hosts)
        cluster.start_bucket()
        yield cluster


def jobs(cluster: RayHosts) -> list[dict[str, object]]:
    """As `tripletune jobs --json` prints them."""
    listed = cluster.tripletune("jobs", "--json")
    assert listed.returncode == 0, listed.stderr
    found: list[dict[str, object]] = json.loads(listed.stdout)
    return found
