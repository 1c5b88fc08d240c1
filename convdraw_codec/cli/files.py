"""The inputs and outputs that a command names."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from ..atomic_write import STANDARD, write_output
from .console import Failure, failing

Place: TypeAlias = "Path | Literal['-']"  # a file, also one whose name is "-"; or the string "-", a standard stream


def place(name: str) -> Place:
    """What a name on the command line stands for."""
    return STANDARD if name == STANDARD else Path(name)


def read_input(source: Place) -> bytes:
    """All of a file, or of standard input."""
    return standard_input().read() if source == STANDARD else Path(source).read_bytes()


def standard_input() -> BinaryIO:
    """Its bytes. Raises OSError where it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.buffer


def choose_output(source: Place, output: Place | None, suffix: str, force: bool) -> Place:
    """The output: as given, or the input with another suffix. Refuses to overwrite without ``force``."""
    if output is None:
        output = STANDARD if source == STANDARD else Path(source).with_suffix(suffix)
    if output == STANDARD:
        return output
    if os.path.isdir(output):
        raise Failure(f"cannot write {output}: it is a folder")
    if not Path(output).parent.is_dir():
        raise Failure(f"cannot write {output}: there is no folder {Path(output).parent}")
    if not force and os.path.lexists(output):
        raise Failure(f"{output} exists; --force overwrites it")
    return output


def save(output: Place, data: bytes) -> None:
    """Write the result, or fail with one sentence."""
    with failing("write", "standard output" if output == STANDARD else output):
        write_output(output, data)
