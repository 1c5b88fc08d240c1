"""Writing results: to standard output, or to a file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import time
from pathlib import Path
from typing import Final

STANDARD: Final = "-"
PART = ".part"  # suffix of what is not finished
NAME_BYTES = 200  # of a name that are kept in a temporary one
STALE = 3600.0  # seconds after which nobody is still writing


def write_output(target: str | Path, data: bytes) -> None:
    """Write to the file ``target``, through a temporary name beside it, or to standard output for "-".

    Links are followed; devices and pipes are written to as they are; a file keeps its permissions. Raises OSError that
    names ``target``; then an existing file is as it was, and no new one is left.
    """
    if target == STANDARD:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed", "standard output")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            Path(target).write_bytes(data)
        else:
            _replace(Path(os.path.realpath(target)), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _prefix(path: Path) -> str:
    """Of temporary names: the file's own, as far as a name has room."""
    return f".{os.fsencode(path.name)[:NAME_BYTES].decode(sys.getfilesystemencoding(), 'ignore')}."


def _replace(path: Path, data: bytes) -> None:
    _sweep(path)
    part = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}{PART}")
    try:
        with open(part, "xb") as file:
            if path.exists():
                os.chmod(part, stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:  # also where the process is being stopped
        part.unlink(missing_ok=True)
        raise


def _sweep(path: Path) -> None:
    """Remove what processes that were killed left of the same output."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(path)) and entry.name.endswith(PART):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                        os.unlink(entry.path)
