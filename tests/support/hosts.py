"""Hosts of a small network on one machine: each has an address, processes and a disk of its own.

A host is a network namespace with one cable to a bridge, and a process namespace whose first
process reaps orphans, as an init does. Nothing has a route out. Needs root and iproute2.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

OWN = "/mnt"
"""A folder that every host has, each on a disk of its own."""

INIT = """
import os, signal, time
print("up", flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
"""


def missing() -> str | None:
    """Why no hosts can be made here; None if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if not all(shutil.which(name) for name in ("ip", "unshare", "nsenter")):
        return "network namespaces need iproute2 and util-linux"
    probe = subprocess.run(
        ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "ip", "link", "set", "lo", "up"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if probe.returncode == 0 else f"no namespaces here: {probe.stderr.strip()}"


@dataclass(frozen=True)
class Host:
    """One of them.

    Attributes:
        name: Of its network namespace.
        ip: Its address.
        pid: Of its first process, seen from outside.
        disk: Its own folder, with a short path: Ray's sockets lie below.
        cable: The bridge's end of its cable, and the bridge's namespace.
    """

    name: str
    ip: str
    pid: int
    disk: Path
    cable: tuple[str, str]

    def environment(self, **changes: str) -> dict[str, str]:
        """Of its processes: home, cache and temporary files on its own disk."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "WANDB_", "TUNE_", "AWS_", "XDG_", "PYTEST_"))
        }
        return (
            kept
            | {
                "HOME": str(self.disk),
                "TMPDIR": str(self.disk),
                "XDG_CACHE_HOME": str(self.disk / "cache"),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "COLUMNS": "200",
            }
            | changes
        )

    def command(self, *arguments: str | Path) -> list[str]:
        """What runs a command there."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-p", *map(str, arguments)]

    def run(
        self, *arguments: str | Path, environment: Mapping[str, str], timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=dict(environment),
            cwd=self.disk,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def set_link(self, state: str) -> None:
        """Plug its cable in (`up`) or out (`down`)."""
        end, space = self.cable
        _run("ip", "-n", space, "link", "set", end, state)


@contextmanager
def network(names: list[str]) -> Iterator[dict[str, Host]]:
    """Hosts by name, at 10.77.0.1 and on; all of them end with the block."""
    prefix = f"tt{os.getpid()}"
    bridge = f"{prefix}-net"
    with ExitStack() as stack:
        disks = Path(tempfile.mkdtemp(prefix="tt-", dir="/tmp"))
        stack.callback(shutil.rmtree, disks, ignore_errors=True)
        _namespace(bridge, stack)
        _run("ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", bridge, "link", "set", "br0", "up")
        hosts = {}
        for number, name in enumerate(names, start=1):
            space, ip = f"{prefix}-{name}", f"10.77.0.{number}"
            _namespace(space, stack)
            end = f"p{number}"
            _run(
                *("ip", "link", "add", "eth0", "netns", space, "type", "veth"),
                *("peer", "name", end, "netns", bridge),
            )
            _run("ip", "-n", bridge, "link", "set", end, "master", "br0", "up")
            _run("ip", "-n", space, "addr", "add", f"{ip}/24", "dev", "eth0")
            _run("ip", "-n", space, "link", "set", "eth0", "up")
            disk = disks / name
            disk.mkdir()
            pid = _first_process(space, stack)
            hosts[name] = Host(name, ip, pid, disk, (end, bridge))
        yield hosts


def _namespace(name: str, stack: ExitStack) -> None:
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "del", name)
    _run("ip", "-n", name, "link", "set", "lo", "up")


def _first_process(space: str, stack: ExitStack) -> int:
    """Pid of a process that reaps; its end is the end of all others there."""
    disks = f"mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs {OWN}"
    outer = subprocess.Popen(
        [
            *("ip", "netns", "exec", space),
            *("unshare", "-m", "-u", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c"),
            f"{disks} && exec {sys.executable} -c '{INIT}'",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert outer.stdout is not None
    stack.callback(outer.wait)
    stack.callback(outer.stdout.close)
    stack.callback(outer.kill)
    assert outer.stdout.readline() == "up\n"
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    return int(children[0])


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
