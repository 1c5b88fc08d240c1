"""The inputs and outputs that a command names."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from ..atomic_write import STANDARD, write_output
from .console import Chatter, Failure, failing, name_of

Place: TypeAlias = "Path | Literal['-']"  # a file, also one whose name is "-"; or the string "-", a standard stream
STREAMS = {STANDARD, "/dev/stdin", "/dev/stdout", "/dev/fd/0", "/dev/fd/1"}


def place(name: str) -> Place:
    """What a name on the command line stands for."""
    return STANDARD if name in STREAMS else Path(name)


def is_special(name: Place) -> bool:
    """Whether it is a stream, a device or a pipe: it has no suffix to go by, and nothing that could be lost."""
    return name == STANDARD or (os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name))


def identity(name: Place, stream: int) -> tuple[int, int] | None:
    """Device and inode of a regular file, through links; of the open file ``stream`` for "-"; None for all else."""
    with contextlib.suppress(OSError):
        status = os.fstat(stream) if name == STANDARD else os.stat(name)
        if stat.S_ISREG(status.st_mode):
            return status.st_dev, status.st_ino
    return None


def check_input(source: Place) -> None:
    """Fail where there is no such file, before anything is said of the output."""
    if source != STANDARD:
        with failing("read", source):
            os.stat(source)


def read_input(source: Place, chatter: Chatter) -> bytes:
    """All of a file, or of standard input."""
    return standard_input(chatter).read() if source == STANDARD else Path(source).read_bytes()


def standard_input(chatter: Chatter) -> BinaryIO:
    """Its bytes. Raises OSError where it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    if sys.stdin.isatty():
        chatter.say("Waiting for data from the terminal; ^D ends it.")
    return sys.stdin.buffer


def choose_output(source: Place, output: Place | None, suffix: str, force: bool,
                  model: str | Path | None = None) -> Place:
    """The output: as given, or the input with another suffix, or standard output for an input that is no file.

    Refuses to overwrite the input or the model, and without ``force`` any file, or to write to a terminal.
    """
    if output is None:
        output = STANDARD if is_special(source) else Path(source).with_suffix(suffix)
    itself = identity(output, 1)
    if itself and itself == identity(source, 0):
        raise Failure(f"cannot write {name_of(output, 'output')}: it is the input")
    if itself and model and itself == identity(Path(model), 0):
        raise Failure(f"cannot write {name_of(output, 'output')}: it is the model")
    if output == STANDARD:
        if sys.stdout is not None and sys.stdout.isatty() and not force:
            raise Failure("standard output is a terminal; -o FILE writes to a file")
        return output
    if os.path.isdir(output):
        raise Failure(f"cannot write {output}: it is a folder")
    if not os.path.isdir(Path(output).parent):
        raise Failure(f"cannot write {output}: there is no folder {Path(output).parent}")
    if not force and os.path.lexists(output) and not is_special(output):
        raise Failure(f"{output} exists; --force overwrites it")
    return output


def save(output: Place, data: bytes) -> None:
    """Write the result, or fail with one sentence."""
    with failing("write", name_of(output, "output")):
        write_output(output, data)
