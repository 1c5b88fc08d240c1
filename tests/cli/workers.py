"""What the processes of a batch do in tests. Imports nothing heavy: each process starts anew."""

import atexit
import os
import signal
import threading

from convdraw_codec.cli.many_files import Task


def kill_itself(task: Task) -> str:
    """The name, but for a task named "deadly", which ends the process."""
    if task.source.name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return task.source.name


def never_end(task: Task) -> None:
    """Say on standard output that the work has begun, and go on for ever. An end in good order would say so, too."""
    os.write(1, b"begun\n")
    atexit.register(os.write, 1, b"ended\n")
    threading.Event().wait()


def fail(task: Task) -> None:
    """As for a fault of our own."""
    raise ZeroDivisionError(task.source.name)
