"""What the process of a trial takes of its machine, measured by itself at each report."""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


class ProcessUsage:
    """Counts from one report to the next."""

    def __init__(self) -> None:
        """Begin to count."""
        self._wall_s, self._processor_s = time.monotonic(), time.process_time()

    def since_last(self, gpu_memory_bytes: int) -> dict[str, Any]:
        """Fields of a report.

        Args:
            gpu_memory_bytes: Most that the trial reserved; 0 without a GPU.

        Returns:
            `processor_share`: processor seconds a second since the last call, 1 for one core;
            `memory_bytes`: resident now; `gpu_memory_bytes`: None without a GPU.
        """
        wall_s, processor_s = time.monotonic(), time.process_time()
        passed_s = max(wall_s - self._wall_s, 1e-3)  # two calls within a tick of the clock
        share = (processor_s - self._processor_s) / passed_s
        self._wall_s, self._processor_s = wall_s, processor_s
        return {
            "processor_share": round(share, 3),
            "memory_bytes": resident_bytes(),
            "gpu_memory_bytes": gpu_memory_bytes or None,
        }


def resident_bytes() -> int:
    """Memory of this process; its peak where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
