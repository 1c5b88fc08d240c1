"""Memory of this process."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path


def peak_mb() -> float:
    """The most that was in use at once, in MB of 10^6 bytes; what a parent had in use does not count on Linux."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts in bytes


def resident_mb() -> float:
    """In use now, after handing back what the allocator only kept; where that is not known, ``peak_mb``."""
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    return peak_mb()
