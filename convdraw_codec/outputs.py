"""Writing results: to standard output, or to a file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which renames no open files
    fcntl = None  # type: ignore[assignment]

STANDARD = "-"


def write_output(target: str, data: bytes) -> None:
    """Write to the file ``target``, through a temporary name beside it, or to standard output for "-".

    Links are followed; devices and pipes are written to as they are. Raises OSError that names ``target``; then an
    existing file is as it was, and no new one is left.
    """
    if target == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(os.path.realpath(target))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")  # always this: what a killed process left is used by the next
    handle = _lock(part)
    try:
        with os.fdopen(handle, "wb") as file:
            file.truncate()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl:
                os.replace(part, path)
        if not fcntl:
            os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _lock(part: Path) -> int:
    """A handle of the file, which no other process has: whoever writes the same output at the same time waits."""
    while True:
        handle = os.open(part, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
        if fcntl is None:
            return handle
        with contextlib.suppress(OSError):  # some file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(part)):
                return handle
        os.close(handle)  # whoever had it before has renamed it
