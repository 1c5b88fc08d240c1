"""The process of the command ``cdraw``: how it starts, how many threads it takes, and how a signal ends it."""

from __future__ import annotations

import contextlib
import io
import math
import os
import signal
import sys
from pathlib import Path
from types import FrameType

STOPS = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # OpenMP's threads sleep when idle: those that spin stand in the way of all others
    # oneDNN keeps so many kernels for shapes that return. Its own 1024 take 30 MB more, and memory scatters as pictures
    # of ever new sizes replace them.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
}


def main() -> None:
    """``cdraw``. A signal unwinds it, as ^C does, and then ends it: a shell sees that, and ends its loop as well."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    try:
        prepare()
        prepare_streams()
        from .commands import main as command

        command(prog_name="cdraw")
    finally:
        if received:
            signal.signal(received[0], signal.SIG_DFL)
            signal.raise_signal(received[0])


def prepare() -> None:
    """Set what torch's libraries read from the environment as they load, where the user has not set it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def prepare_streams() -> None:
    """Keep the numbers of closed streams from files that are opened later, and let any name be printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def threads_each(processes: int = 1) -> int:
    """Threads for each of so many processes: its share of the cores, at most OMP_NUM_THREADS."""
    share = max(1, cores() // processes)
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(share, int(wanted)) if wanted.isdigit() and int(wanted) else share


def cores() -> int:
    """How many this process may use, by its affinity and by the quota of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(count, quota())))


def quota(root: Path = Path("/")) -> float:
    """Cores' worth of time that Linux control groups, version 1 or 2, grant; infinite where they set no limit."""
    granted = [math.inf]
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
                own = top / group.lstrip("/")
                granted += [_granted(folder) for folder in (own, *own.parents) if folder.is_relative_to(top)]
    return min(granted)


def _granted(group: Path) -> float:
    """By one control group: microseconds in each period."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError):
            time, period = " ".join((group / name).read_text() for name in names).split()
            if int(time) > 0:  # -1 and "max" are no limit
                return int(time) / int(period)
    return math.inf
