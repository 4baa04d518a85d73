"""One connection to Ray for the length of a search.

Without an address that is a private Ray on this machine, which ends with the session; with one it
is a cluster of somebody else, which is left as it was found.
"""

import logging
import os
import signal
import site
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .address import ClusterAddress
from .authentication import client_mode, private_token, ray_environment

ANSWER_TIMEOUT_S = 5
"""How long Ray may go on trying once the head's port is open, seconds."""

_PACKAGE = __name__.partition(".")[0]
_IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@dataclass(frozen=True)
class RaySession:
    """A connected Ray.

    Attributes:
        address: Of the head, `host:port`, or as the user gave it.
        is_private: Whether this session started it, and will stop it.
        is_borrowed: Whether the process was connected before, and stays so. Otherwise everything
            that it started there ends with the session.
    """

    address: str
    is_private: bool
    is_borrowed: bool = False

    def nodes(self) -> tuple[dict[str, float], ...]:
        """Returns the resources of every living node, under Ray's names: CPU, GPU, ..."""
        import ray

        return tuple(dict(node["Resources"]) for node in ray.nodes() if node["Alive"])


@contextmanager
def open_session(
    address: str | None = None,
    *,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    temp_dir: Path | None = None,
) -> Iterator[RaySession]:
    """Connects this process to Ray, and disconnects it at the end.

    If this process is connected already, that connection is used and left open. Environment
    variables are restored at the end; a SIGTERM handler of the caller's stays in force, which
    ``ray.init`` alone would replace.

    Args:
        address: ``host:port``, ``ray://host:port``, or ``auto`` for the cluster that
            ``RAY_ADDRESS`` or a ``ray start`` on this machine names. None starts a private Ray,
            whatever else runs here.
        num_cpus: CPUs that a private Ray may use, at least 1; by default all of the machine.
        num_gpus: GPUs that a private Ray may use, at least 0; by default all of the machine.
        temp_dir: Where a private Ray keeps logs and sockets; by default where Ray always does.

    Yields:
        The connected session.

    Raises:
        ValueError: An argument is out of its range or does not go with the address.
        ConnectionError: Nothing answers at the address, or it refuses the token, or it runs
            another version; the message holds what would mend it.
        RuntimeError: This process is connected to another cluster, or a private Ray cannot start.
    """
    import ray

    _check_arguments(address, num_cpus, num_gpus, temp_dir)
    if ray.is_initialized():
        yield _current_session(address)
    elif address is None:
        with ray_environment(_private_environment()), _shutdown_at_the_end():
            with _sigterm_handler_of_the_caller():
                session = _start(num_cpus, num_gpus, temp_dir)
            yield session
    else:
        target = ClusterAddress.parse(_announced_address() if address == "auto" else address)
        target.require_reachable()
        with ray_environment(_client_environment()), _shutdown_at_the_end():
            with _sigterm_handler_of_the_caller():
                session = _connect(target)
            yield session


def _check_arguments(
    address: str | None, num_cpus: int | None, num_gpus: int | None, temp_dir: Path | None
) -> None:
    if address is not None and (num_cpus, num_gpus, temp_dir) != (None, None, None):
        raise ValueError(
            "num_cpus, num_gpus and temp_dir belong to a private Ray, "
            f"got them with address={address!r}; leave out these or the address"
        )
    if num_cpus is not None and num_cpus < 1:
        raise ValueError(f"num_cpus must be >= 1, got num_cpus={num_cpus}")
    if num_gpus is not None and num_gpus < 0:
        raise ValueError(f"num_gpus must be >= 0, got num_gpus={num_gpus}")


def _current_session(address: str | None) -> RaySession:
    current = _gcs_address()
    if address not in (None, "auto", current):
        raise RuntimeError(
            f"this process is connected to Ray at {current}, not at address={address!r}; "
            "call ray.shutdown() first, or leave out the address"
        )
    return RaySession(address=current, is_private=False, is_borrowed=True)


def _gcs_address() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _start(num_cpus: int | None, num_gpus: int | None, temp_dir: Path | None) -> RaySession:
    import ray

    try:
        ray.init(
            # Not None, which would take RAY_ADDRESS or the last cluster started on this machine.
            address="local",
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _temp_dir=None if temp_dir is None else str(temp_dir.absolute()),
        )
    except Exception as error:  # a bare one where the node did not come up in time
        if "timed out during startup" in str(error):
            raise RuntimeError(
                "a private Ray could not start within Ray's 30 s, as on a machine that is very "
                "busy; try again when it is less so"
            ) from error
        if "AF_UNIX" not in str(error):
            raise RuntimeError(f"a private Ray could not start: {error}") from error
        raise ValueError(
            "temp_dir must be short, as the path of a socket below it has at most 107 bytes, "
            f"got temp_dir={str(temp_dir)!r}; leave it out or choose one like /tmp/ray"
        ) from error
    return RaySession(address=_gcs_address(), is_private=True)


def _announced_address() -> str:
    """Returns what `auto` stands for.

    Unlike Ray, it does not look for running heads: one may be somebody's private Ray.
    """
    from ray._private.services import find_bootstrap_address

    address = os.environ.get("RAY_ADDRESS") or find_bootstrap_address(None)
    if not address:
        raise ConnectionError(
            "no Ray cluster was found by address auto: RAY_ADDRESS is not set, and no `ray start` "
            "was run on this machine; run `ray start --head`, or give host:port"
        )
    return str(address)


def _connect(target: ClusterAddress) -> RaySession:
    import ray
    from ray.exceptions import RayError

    try:
        ray.init(
            address=target.text,
            log_to_driver=False,
            logging_level=logging.WARNING,
            # The nodes need this package, but not this machine's environment.
            # Within a job they got it with the job.
            runtime_env=None
            if _IN_A_JOB in os.environ
            else {"py_modules": [str(files(_PACKAGE))]},
        )
    except ImportError as error:
        raise ConnectionError(
            f"address {target.text} needs Ray Client, which is not installed; "
            f"pip install '{_PACKAGE}[cluster]'"
        ) from error
    except (OSError, RuntimeError, RayError) as error:
        raise ConnectionError(_refusal(target, error)) from error
    return RaySession(address=target.text, is_private=False)


def _refusal(target: ClusterAddress, error: BaseException) -> str:
    """Returns what to tell of a failed connection; Ray's reason is in a text inside the cause."""
    reasons = f"{error}\n{error.__cause__}"
    if "AuthToken" in reasons or "uthentication token" in reasons:
        return (
            f"Ray at address {target.text} did not accept this process's token; set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the token that "
            "`ray get-auth-token` prints on its head"
        )
    if "Version mismatch" in reasons:
        versions = " ".join(reasons.partition("Version mismatch")[2].split())
        return (
            f"Ray at address {target.text} runs other versions than this process; install "
            f"the same Ray and Python on both{versions}"
        )
    return (
        f"something listens at address {target.text}, but it did not answer as a Ray head within "
        f"{ANSWER_TIMEOUT_S} s; {target.remedy}"
    )


def _private_environment() -> dict[str, str]:
    """Returns what the workers of a private Ray inherit.

    The environment of the process, and not a runtime environment of Ray, with which no worker
    could be started in advance.
    """
    environment = {
        **private_token(),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Under `uv run` Ray would build every worker an environment of its own.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    root = str(Path(str(files(_PACKAGE))).parent)
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        # Not installed, or editable: the workers find the package where this process did.
        inherited = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([root, inherited] if inherited else [root])
    return environment


def _client_environment() -> dict[str, str]:
    environment = client_mode(os.environ)
    if "RAY_gcs_server_port_wait_time_s" not in os.environ:
        # Attempts, one a second: a wrong token is tried again like any other error.
        environment["RAY_gcs_server_port_wait_time_s"] = str(ANSWER_TIMEOUT_S)
    return environment


@contextmanager
def _shutdown_at_the_end() -> Iterator[None]:
    import ray

    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_handler_of_the_caller() -> Iterator[None]:
    """Undoes that ``ray.init`` sets a SIGTERM handler, which it can in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
