"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ..format import constants
from .console import Chatter
from .conversions import Files
from .param_types import Amount, Bytes, Source

INPUT = click.argument("input", metavar="INPUT", type=Source())
INPUTS = click.argument("inputs", metavar="INPUT...", type=Source(), nargs=-1, required=True)
OUTPUT = click.option("-o", "--output", metavar="OUTPUT", help="File to write; - is standard output.")
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
MODEL = click.option("--model", type=click.Path(dir_okay=False), help="Model file in place of the bundled one.")
THREADS = click.option("--threads", type=click.IntRange(1),
                       help="Processor threads. Default: OMP_NUM_THREADS, or all cores.")
MAX_PIXELS = click.option("--max-pixels", type=click.IntRange(1), default=constants.MAX_PIXELS, show_default=True,
                          help="Refuse larger pictures: memory grows with them.")
SIZE = click.option("--size", type=Bytes(), help="At most so many bytes: 20000, 20K (thousands), 20KiB, 1.5MiB.")
BPP = click.option("--bpp", type=Amount(), help="At most so many bits per pixel.")
SKIP_EXISTING = click.option("--skip-existing", is_flag=True, help="Of many files, leave out those that are done.")
RECURSIVE = click.option("-r", "--recursive", is_flag=True,
                         help="Take the files below each folder, hidden ones left out.")
JOBS = click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True,
                    help="Of many files, work on so many at a time.")


def only_one(**budgets: Any) -> bool:
    """Whether one of these options was given; more than one is wrong usage."""
    given = [f"--{name}" for name, value in budgets.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    return bool(given)


def chatter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -v and --quiet, and hand the command a Chatter."""

    @click.option("-v", "--verbose", count=True, help="Say more.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @wraps(command)
    def with_chatter(verbose: int, quiet: bool, **arguments: Any) -> Any:
        return command(chatter=Chatter(verbose, quiet), **arguments)

    return with_chatter


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the inputs, and what is said about outputs and folders, and hand the command Files."""

    @INPUTS
    @OUTPUT
    @FORCE
    @RECURSIVE
    @SKIP_EXISTING
    @wraps(command)
    def with_files(inputs: Any, output: Any, force: bool, recursive: bool, skip_existing: bool,
                   **arguments: Any) -> Any:
        return command(files=Files(inputs, output, force, recursive, skip_existing), **arguments)

    return with_files
