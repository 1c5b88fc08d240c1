"""The process of the command: how many threads it takes, and how signals end it and its workers."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from convdraw_codec.cli import many_files, process
from convdraw_codec.cli.loading import threads_used
from convdraw_codec.cli.many_files import Task

from ..conftest import ROOT
from .workers import fail

PATIENCE = 100.0  # seconds after which what should have ended never will


@contextlib.contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process with pipes, in a process group of its own, all of which is gone in the end."""
    with subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_dies_by_the_signal_that_stops_it(number: signal.Signals) -> None:
    """So that a shell ends its loop, and says 130 for ^C."""
    with started("-m", "convdraw_codec", "info", "-") as child:
        assert child.stdin
        child.stdin.write(bytes(200_000))  # more than a pipe holds: it is reading
        child.send_signal(number)
        _, stderr = child.communicate(timeout=PATIENCE)
    assert child.returncode == -number
    assert stderr == b"\nAborted!\n"


BATCH = """
from pathlib import Path
from convdraw_codec.cli import many_files
from convdraw_codec.cli.loading import threads_used
from convdraw_codec.cli.many_files import Task
from tests.cli.workers import never_end
many_files.cores = lambda: 2
list(many_files.run([Task(Path(name), Path(name)) for name in "abc"], never_end, 2))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(number: signal.Signals) -> None:
    with started("-c", BATCH) as child:
        assert child.stdout
        assert [child.stdout.readline(), child.stdout.readline()] == [b"begun\n"] * 2
        child.send_signal(number)
        stdout, _ = child.communicate(timeout=PATIENCE)  # until nobody holds its standard output, the workers neither
    assert child.returncode == -number
    assert stdout == b""  # at once: the workers' libraries may take seconds to end in good order


def test_a_fault_in_a_worker_is_raised_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError, match="broken") as caught:
        list(many_files.run([Task(Path("broken"), Path("out"))], fail, 2))
    assert "in fail" in "".join(caught.value.__notes__)


def test_the_environment_is_the_users_where_they_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "active"})
    process.prepare()
    assert os.environ == {"OMP_WAIT_POLICY": "active", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}


SEEN = """
import os, sys
from convdraw_codec.cli import process
from convdraw_codec.cli.loading import threads_used
from convdraw_codec.cli.commands import main
main.callback = lambda: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
process.main()
"""


def test_the_policy_is_set_before_torch_is_imported() -> None:
    with started("-c", SEEN, "info", "absent") as child:
        stdout, _ = child.communicate(timeout=PATIENCE)
    assert stdout == b"passive False\n"


@pytest.mark.parametrize(("variable", "processes", "threads"), [
    ("", 1, 8), ("", 3, 2), ("", 100, 1), ("1", 2, 1), ("3,2", 1, 3), ("100000", 2, 4), ("0", 1, 8), ("many", 1, 8),
])
def test_threads_are_a_share_of_the_cores(variable: str, processes: int, threads: int,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert process.threads_each(processes) == threads


@pytest.mark.parametrize(("files", "cores"), [
    ({}, float("inf")),
    ({"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/step/cpu.max": "max 100000\n",
      "sys/fs/cgroup/job/cpu.max": "150000 100000\n"}, 1.5),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
    ({"proc/self/cgroup": "5:cpuacct,cpu:/docker/1\n3:cpuset:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
      "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 2),
    ({"proc/self/cgroup": "5:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
      "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
])
def test_the_quota_of_control_groups(files: dict[str, str], cores: float, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert process.quota(tmp_path) == cores


def test_more_threads_than_the_machine_has_are_not_asked_for() -> None:
    assert [threads_used(100_000), threads_used(1)] == [os.cpu_count(), 1]
