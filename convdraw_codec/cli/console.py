"""What the command line says: one sentence for a failure, chatter and progress on standard error."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..atomic_write import STANDARD
from ..errors import CdrawError


class Failure(click.ClickException):
    """One sentence on standard error, exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"cdraw: error: {self.message}", err=True)


class Chatter:
    """What goes to standard error: nothing when quiet, more when verbose."""

    def __init__(self, verbose: int, quiet: bool):
        self.verbose, self.quiet = verbose, quiet

    def say(self, message: str, level: int = 0) -> None:
        """Print a line for those who asked for that much."""
        if not self.quiet and self.verbose >= level:
            click.echo(message, err=True)

    @contextlib.contextmanager
    def progress(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """A progress bar on a terminal; yields a function to call with the number of each finished step."""
        hidden = self.quiet or sys.stderr is None or not sys.stderr.isatty()
        with click.progressbar(length=steps, label=label, file=sys.stderr, hidden=hidden) as bar:
            yield lambda step: bar.update(1)


QUIET = Chatter(0, True)


def name_of(file: str | Path, stream: str = "input") -> str:
    """How messages call an input, or an output."""
    return f"standard {stream}" if file == STANDARD else str(file)


def print_out(text: str) -> None:
    """A line of what was asked for, on standard output."""
    with failing("write", "standard output"):
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        try:
            click.echo(text)
        except BrokenPipeError:  # nobody wants more of it
            raise SystemExit(1) from None


@contextlib.contextmanager
def failing(action: str, source: str | Path) -> Iterator[None]:
    """Turn what can go wrong with a file into one sentence that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror.lower() if error.strerror else str(error)
        raise Failure(f"cannot {action} {error.filename or name_of(source)}: {reason}") from error
    except CdrawError as error:
        raise Failure(f"cannot {action} {name_of(source)}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):  # torch's way to run out of memory
            raise
        raise Failure(f"cannot {action} {name_of(source)}: not enough memory") from error
