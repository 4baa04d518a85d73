"""Whether the images of a study stay in memory or are mapped from a file.

Both give the same batches bit for bit; only time and memory differ.
"""

import os
from pathlib import Path
from typing import Literal

MEMORY_SHARE = 0.25
"""Of the free memory, what a set may take before it is mapped: the driver, Ray's object store (by
default three tenths of the memory) and the trials need the rest."""

_CGROUP_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def is_mapped(
    storage: Literal["auto", "memory", "mapped"], size_bytes: int, available: int | None = None
) -> bool:
    """Whether a set is mapped from its file.

    Args:
        storage: What the recipe asks for; `auto` maps what takes more than a quarter of the
            memory that is free now.
        size_bytes: Of the images that trials see.
        available: Free memory, bytes; asked of the system by default.
    """
    if storage != "auto":
        return storage == "mapped"
    free = available_bytes() if available is None else available
    return size_bytes > MEMORY_SHARE * free


def available_bytes() -> int:
    """Memory that can be taken now: what the system has free, or a container's limit leaves."""
    found = [_system_bytes()]
    for limit_file, used_file in _CGROUP_LIMITS:
        try:
            limit = Path(limit_file).read_text(encoding="ascii").strip()
            used = Path(used_file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit.isdigit() and used.isdigit():  # `max` has no limit
            found.append(max(0, int(limit) - int(used)))
    return min(found)


def _system_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
