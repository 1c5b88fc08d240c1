"""The command line: arguments, progress and messages, nothing else.

Pictures and data go to files or standard output, all chatter to standard error. Exit codes: 0 done, 1 failed
with one sentence, 2 wrong usage.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__, bitstream
from .errors import CdrawError, TruncatedError
from .outputs import STANDARD, write_output

if TYPE_CHECKING:
    from .codec import Codec

INPUT = click.argument("input", metavar="INPUT")
OUTPUT = click.option("-o", "--output", metavar="OUTPUT", help="File to write; - is standard output.")
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
STEPS = click.IntRange(1, 255)
MODEL = click.option("--model", type=click.Path(dir_okay=False), help="Model file in place of the bundled one.")
THREADS = click.option("--threads", type=click.IntRange(1), help="Processor threads; default: all cores.")


class Bytes(click.ParamType):
    """A number of bytes, as 20000, 20KB (thousands) or 20KiB (1024)."""

    name = "bytes"
    UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """To a whole number of bytes."""
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Z]*)", str(value).strip().upper())
        if not match or match[2] not in self.UNITS or not float(match[1]):
            self.fail(f"{value!r} is no size such as 20000, 20KB or 1.5MiB.", param, ctx)
        return int(float(match[1]) * self.UNITS[match[2]])


SIZE = click.option("--size", type=Bytes(), help="At most so many bytes: 20000, 20KB, 1.5MiB.")
BPP = click.option("--bpp", type=click.FloatRange(0, min_open=True), help="At most so many bits per pixel.")


def only_one(**budgets: Any) -> bool:
    """Whether one of these options was given; more than one is wrong usage."""
    given = [f"--{name}" for name, value in budgets.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    return bool(given)


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

    @contextmanager
    def progress(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """A progress bar on a terminal; yields a function to call with the number of each finished step."""
        hidden = self.quiet or not sys.stderr.isatty()
        with click.progressbar(length=steps, label=label, file=sys.stderr, hidden=hidden) as bar:
            yield lambda step: bar.update(1)


def chatter_options(command: Callable) -> Callable:
    """Add -v and --quiet, and hand the command a Chatter."""

    @click.option("-v", "--verbose", count=True, help="Say more.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @wraps(command)
    def with_chatter(verbose: int, quiet: bool, **arguments: Any) -> Any:
        return command(chatter=Chatter(verbose, quiet), **arguments)

    return with_chatter


def name_of(source: str) -> str:
    """How messages call an input."""
    return "standard input" if source == STANDARD else source


@contextmanager
def failing(action: str, source: str) -> Iterator[None]:
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


def read_input(source: str) -> bytes:
    """All of a file, or of standard input for "-"."""
    return sys.stdin.buffer.read() if source == STANDARD else Path(source).read_bytes()


def choose_output(source: str, output: str | None, suffix: str, force: bool) -> str:
    """The output's name: as given, or the input's with another suffix. Refuses to overwrite without --force."""
    if output is None:
        output = STANDARD if source == STANDARD else f"{os.path.splitext(source)[0]}{suffix}"
    if output == STANDARD:
        return output
    if os.path.isdir(output):
        raise Failure(f"cannot write {output}: it is a folder")
    if not os.path.isdir(os.path.dirname(output) or "."):
        raise Failure(f"cannot write {output}: there is no folder {os.path.dirname(output)}")
    if not force and os.path.lexists(output):
        raise Failure(f"{output} exists; --force overwrites it")
    return output


def save(output: str, data: bytes) -> None:
    """Write the result, or fail with one sentence."""
    with failing("write", "standard output" if output == STANDARD else output):
        write_output(output, data)


def load_codec(model: str | None, threads: int | None) -> Codec:
    """The codec, with torch imported only now."""
    import torch

    from .codec import Codec

    if threads:
        torch.set_num_threads(threads)
    with failing("load the model", model or "that comes with cdraw"):
        return Codec(model)


def steps_of(header: bitstream.Header) -> str:
    """How many steps a file stores, in words."""
    return f"{header.steps}{'+' if header.cut else ''} of {header.total_steps} steps"


def size_summary(data: bytes, header: bitstream.Header) -> str:
    """Bytes, bits per pixel and steps of a whole file."""
    rate = 8 * len(data) / (header.width * header.height)
    return f"{len(data):,} bytes ({rate:.3f} bpp, {steps_of(header)})"


def step_sizes(data: bytes) -> str:
    """A line for each step: the bytes of its payload, and of a file cut after it."""
    contents = bitstream.read(data)
    lines = [f"step {step:3d}: {len(contents.segments[step - 1]):10,} bytes; "
             f"a file cut here has {len(bitstream.truncate(data, step)):,}"
             for step in range(1, contents.header.steps + 1)]
    if contents.header.cut:
        lines.append(f"step {len(lines) + 1:3d}: {len(contents.segments[-1]):10,} bytes, a part of it")
    return "\n".join(lines)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="cdraw")
def main() -> None:
    """A neural image codec in which one file holds every quality."""


@main.command()
@INPUT
@OUTPUT
@click.option("--steps", type=STEPS, help="Steps to store; fewer is smaller. Default: all.")
@SIZE
@BPP
@click.option("--psnr", type=click.FloatRange(0, min_open=True), help="As few bytes as give so many decibels.")
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel.")
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF and XMP.")
@FORCE
@MODEL
@THREADS
@chatter_options
def compress(input: str, output: str | None, steps: int | None, size: int | None, bpp: float | None,
             psnr: float | None, drop_alpha: bool, strip: bool, force: bool, model: str | None, threads: int | None,
             chatter: Chatter) -> None:
    """Compress the picture INPUT (- is standard input) to a .cdr file."""
    only_one(steps=steps, size=size, bpp=bpp, psnr=psnr)
    output = choose_output(input, output, ".cdr", force)
    with failing("read", input):
        content = read_input(input)
    codec = load_codec(model, threads)
    if steps is not None and steps > codec.total_steps:
        raise click.UsageError(f"--steps: this model has {codec.total_steps} steps.")
    from .images import read_picture

    with failing("compress", input), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        with chatter.progress("Compressing", steps or codec.total_steps) as on_step:
            data = codec.compress(read_picture(io.BytesIO(content)), steps, size=size, bpp=bpp, psnr=psnr,
                                  drop_alpha=drop_alpha, strip=strip, on_step=on_step)
    for warning in caught:
        chatter.say(f"{name_of(input)}: {warning.message}")
    save(output, data)
    if chatter.verbose:
        chatter.say(step_sizes(data))
    chatter.say(f"Compressed to {size_summary(data, bitstream.parse_header(data))}")


@main.command()
@INPUT
@OUTPUT
@click.option("--steps", type=STEPS, help="Use only the first so many steps.")
@click.option("--fill", type=click.Choice(["mean", "sample", "none"]), default="mean", show_default=True,
              help="What stands in for steps that are not stored: the prior's mean, a sample from it, or nothing.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Seed of the sample.")
@click.option("--allow-truncated", is_flag=True, help="Decode the whole steps of a file that ends early.")
@FORCE
@MODEL
@THREADS
@chatter_options
def decompress(input: str, output: str | None, steps: int | None, fill: Any, seed: int, allow_truncated: bool,
               force: bool, model: str | None, threads: int | None, chatter: Chatter) -> None:
    """Decompress the .cdr file INPUT (- is standard input) to a picture.

    The suffix of OUTPUT chooses the format; standard output gets PNG.
    """
    output = choose_output(input, output, ".png", force)
    picture_format = format_of(output)
    with failing("decode", input):
        data = read_input(input)
        try:
            header = bitstream.read(data, steps=steps).header
        except TruncatedError as error:
            if not error.steps:
                raise
            if not allow_truncated:
                advice = f"--allow-truncated decodes the {error.steps} whole steps before"
                raise TruncatedError(f"{error}; {advice}", error.steps) from error
            chatter.say(f"{name_of(input)}: {error}; decoding its {error.steps} whole steps")
            header = bitstream.read(data, allow_truncated=True, steps=steps).header
    codec = load_codec(model, threads)
    with failing("decode", input), chatter.progress("Decompressing", header.steps) as on_step:
        chatter.say(f"{name_of(input)}: {size_summary(data, header)}, model {header.model}", level=1)
        picture = codec.decompress(data, steps, fill, seed, allow_truncated=allow_truncated, on_step=on_step)
    encoded = io.BytesIO()
    metadata = {key: value for key, value in picture.info.items() if key in ("icc_profile", "exif", "xmp")}
    try:
        picture.save(encoded, picture_format, **metadata)
    except (OSError, ValueError) as error:  # too large for the format, say
        raise Failure(f"cannot write {output} as {picture_format}: {error}") from error
    save(output, encoded.getvalue())
    chatter.say(f"Decompressed {header.width}x{header.height} {header.mode} "
                f"from {steps_of(header)}")


def format_of(output: str) -> str:
    """The Pillow format that the suffix of the output names."""
    if output == STANDARD:
        return "PNG"
    from PIL import Image

    Image.init()
    suffix = Path(output).suffix.lower()
    name = Image.registered_extensions().get(suffix)
    if name is None or name not in Image.SAVE:
        raise click.UsageError(f"--output: no picture format is known by the suffix {suffix!r}; use .png.")
    return name


@main.command()
@INPUT
@chatter_options
def info(input: str, chatter: Chatter) -> None:
    """Say what the .cdr file INPUT holds; with -v, the bytes of each step."""
    with failing("read", input):
        data = read_input(input)
        contents = bitstream.read(data)
    header = contents.header
    click.echo(f"{name_of(input)}: {header.width}x{header.height} {header.mode}, {size_summary(data, header)}, "
               f"model {header.model}")
    if chatter.verbose:
        click.echo(step_sizes(data))


@main.command()
@INPUT
@click.option("-o", "--output", metavar="OUTPUT", required=True, help="File to write; - is standard output.")
@click.option("--steps", type=STEPS, help="Steps to keep.")
@SIZE
@BPP
@FORCE
@chatter_options
def truncate(input: str, output: str, steps: int | None, size: int | None, bpp: float | None, force: bool,
             chatter: Chatter) -> None:
    """Cut the .cdr file INPUT to fewer steps or bytes. Needs no model and takes no time."""
    if not only_one(steps=steps, size=size, bpp=bpp):
        raise click.UsageError("give one of --steps, --size and --bpp.")
    choose_output(input, output, ".cdr", force)
    with failing("cut", input):
        data = read_input(input)
        if bpp is not None:
            header = bitstream.parse_header(data)
            size = int(bpp * header.width * header.height / 8)
        data = bitstream.truncate(data, steps, size=size)
    save(output, data)
    if chatter.verbose:
        chatter.say(step_sizes(data))
    chatter.say(f"Cut to {size_summary(data, bitstream.parse_header(data))}")


@main.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...",
                type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="Model file to write (.safetensors).")
@click.option("--config", default="photo", show_default=True,
              help="Name of a configuration that comes with cdraw, or a TOML file.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
              help="Time between checkpoints.")
@THREADS
@chatter_options
def train(folders: tuple[Path, ...], output: Path, config: str, minutes: float, threads: int | None,
          chatter: Chatter) -> None:
    """Train a model on the photographs below each FOLDER.

    A checkpoint, OUTPUT with .ckpt added, and the model so far are written every few minutes; the same command
    goes on from there.
    """
    import torch

    from .training.loop import find_config, load_config
    from .training.loop import train as run

    if threads:
        torch.set_num_threads(threads)
    with failing("train on", config):
        run(load_config(find_config(config)), list(folders), output, chatter.say, checkpoint_minutes=minutes)
