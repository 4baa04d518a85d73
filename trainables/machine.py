"""What was measured on this machine, kept on disk: the next process need not measure again."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from platformdirs import user_cache_path

Seconds = dict[str, float]
"""Measured seconds by the name of what took them; infinity where it did not run."""

_known: dict[str, Seconds] = {}


def measured_here(
    question: Mapping[str, object],
    device: torch.device,
    names: Iterable[str],
    measure: Callable[[], Seconds],
) -> Seconds:
    """The answer of an earlier measurement on this machine, or of one that is made now.

    A measurement holds for one processor or GPU, one version of torch and one number of threads. A
    cache that cannot be read, or holds something else, costs a measurement; one that cannot be
    written costs one a process.

    Args:
        question: What is measured, as plain values: they name the entry.
        device: Where.
        names: What an answer must hold.
        measure: Gives the seconds of each name.
    """
    whole = {**question, "machine": machine_name(device), "torch": torch.__version__}
    if device.type == "cpu":
        whole["threads"] = torch.get_num_threads()
    text = json.dumps(whole, sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    path = user_cache_path("tripletune") / "measured" / f"{key}.json"
    answer = _known.get(key) or _read(path, set(names))
    if answer is None:
        answer = measure()
        with contextlib.suppress(OSError):
            _write(path, {"question": json.loads(text), "seconds": answer})
    _known[key] = answer
    return answer


def machine_name(device: torch.device) -> str:
    """Name of the GPU, or of the processor and the vectors that torch uses on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = "processor"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"


def _read(path: Path, names: set[str]) -> Seconds | None:
    """An answer on disk; None where there is none, or none that can be used."""
    try:
        seconds = json.loads(path.read_text(encoding="utf-8"))["seconds"]
        answer = {str(name): float(value) for name, value in seconds.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    is_whole = set(answer) == names and all(value > 0 for value in answer.values())
    return answer if is_whole else None


def _write(path: Path, entry: Mapping[str, object]) -> None:
    """Whole or not at all, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(prefix=path.stem, suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(entry, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
