"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import click

from ..format import constants
from .console import Chatter
from .conversions import Files
from .loading import load_codec
from .param_types import amount, size_in_bytes, source
from .process import threads_each

Command = Callable[..., Any]

INPUT = click.argument("input", metavar="INPUT", type=source)
INPUTS = click.argument("inputs", metavar="INPUT...", type=source, nargs=-1, required=True)
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
MODEL = click.option("--model", type=click.Path(dir_okay=False), help="Model file in place of the bundled one.")
THREADS = click.option("--threads", type=click.IntRange(1),
                       help="Processor threads. Default: OMP_NUM_THREADS, or all cores.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each file.")
SIZE = click.option("--size", type=size_in_bytes, metavar="BYTES",
                    help="At most so many bytes: 20000, 20K (thousands), 20KiB, 1.5MiB.")
BPP = click.option("--bpp", type=amount, metavar="NUMBER", help="At most so many bits per pixel.")
DROP_ALPHA = click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel.")


def only_one(**budgets: Any) -> bool:
    """Whether one of these options was given; more than one is wrong usage."""
    given = [f"--{name}" for name, value in budgets.items() if value is not None and value is not False]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    return bool(given)


def chatter_options(command: Command) -> Command:
    """Add -v and --quiet, and hand the command a Chatter."""

    @click.option("-v", "--verbose", count=True, help="Say more.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @wraps(command)
    def with_chatter(verbose: int, quiet: bool, **arguments: Any) -> Any:
        return command(chatter=Chatter(verbose, quiet), **arguments)

    return with_chatter


def file_options(command: Command) -> Command:
    """Add the inputs, and what is said about outputs and folders, and hand the command Files."""

    @INPUTS
    @click.option("-o", "--output", metavar="OUTPUT", help="File to write; - is standard output.")
    @FORCE
    @click.option("-r", "--recursive", is_flag=True, help="Take the files below each folder, hidden ones left out.")
    @click.option("--skip-existing", is_flag=True, help="Of many files, leave out those that are done.")
    @wraps(command)
    def with_files(inputs: Any, output: Any, force: bool, recursive: bool, skip_existing: bool,
                   **arguments: Any) -> Any:
        files = Files(inputs, output, force, recursive, skip_existing, arguments.get("model"))
        return command(files=files, **arguments)

    return with_files


def codec_options(command: Command) -> Command:
    """Add what a codec is made from, and hand a command of Files ``load``, which makes it, and ``jobs``."""

    @click.option("--max-pixels", type=click.IntRange(1), default=constants.MAX_PIXELS, show_default=True,
                  help="Refuse larger pictures: memory grows with them.")
    @MODEL
    @THREADS
    @click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True,
                  help="Of many files, work on so many at a time.")
    @wraps(command)
    def with_codec(files: Files, max_pixels: int, model: str | None, threads: int | None, jobs: int,
                   **arguments: Any) -> Any:
        if files.many:
            threads = threads or threads_each(jobs)
        return command(files=files, load=partial(load_codec, model, threads, max_pixels), jobs=jobs, **arguments)

    return with_codec
