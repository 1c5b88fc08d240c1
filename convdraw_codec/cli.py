"""The command line: arguments, progress and messages, nothing else.

Pictures and data go to files or standard output, all chatter to standard error. Exit codes: 0 done, 1 failed
with one sentence, 2 wrong usage.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__, batch, bitstream
from .errors import CdrawError, TruncatedError
from .outputs import STANDARD, write_output

if TYPE_CHECKING:
    from PIL.Image import Image

    from .codec import Codec

INPUT = click.argument("input", metavar="INPUT")
INPUTS = click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
OUTPUT = click.option("-o", "--output", metavar="OUTPUT", help="File to write; - is standard output.")
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
STEPS = click.IntRange(1, 255)
MODEL = click.option("--model", type=click.Path(dir_okay=False), help="Model file in place of the bundled one.")
THREADS = click.option("--threads", type=click.IntRange(1), help="Processor threads; default: all cores.")


BYTE_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}


class Bytes(click.ParamType):
    """A number of bytes, as 20000, 20KB (thousands) or 20KiB (1024)."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """To a whole number of bytes."""
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Z]*)", str(value).strip().upper())
        if not match or match[2] not in BYTE_UNITS or not float(match[1]):
            self.fail(f"{value!r} is no size such as 20000, 20KB or 1.5MiB.", param, ctx)
        return int(float(match[1]) * BYTE_UNITS[match[2]])


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

    @contextlib.contextmanager
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


def batch_options(command: Callable) -> Callable:
    """Add what matters for many files, and --threads."""
    for option in (THREADS,
                   click.option("--skip-existing", is_flag=True, help="Of many files, leave out those that are done."),
                   click.option("-r", "--recursive", is_flag=True, help="Take the files below each folder."),
                   click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True,
                                help="Of many files, work on so many at a time.")):
        command = option(command)
    return command


def name_of(source: str) -> str:
    """How messages call an input."""
    return "standard input" if source == STANDARD else source


@contextlib.contextmanager
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


@cache
def load_codec(model: str | None, threads: int | None) -> Codec:
    """The codec, with torch imported only now, once a process."""
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


@dataclass(frozen=True)
class Done:
    """What became of one of many files: bytes on both sides, and the pixels; or why not. notes: what to mention."""

    before: int = 0
    after: int = 0
    pixels: int = 0
    notes: tuple[str, ...] = ()
    failure: str = ""


def settled(work: Callable[[Any, batch.Task], Done]) -> Callable[[Any, batch.Task], Done]:
    """What the work on one of many files returns, or its failure as a sentence, so that other files go on."""

    @wraps(work)
    def settle(self: Any, task: batch.Task) -> Done:
        try:
            return work(self, task)
        except Failure as failure:
            return Done(failure=failure.message)

    return settle


def is_batch(inputs: tuple[str, ...], output: str | None) -> bool:
    """Many files, or a folder to put results into, or one to take files from."""
    into = output is not None and output != STANDARD and (output.endswith(("/", os.sep)) or os.path.isdir(output))
    return len(inputs) > 1 or into or os.path.isdir(inputs[0])


def run_batch(action: str, tasks: list[batch.Task], work: Callable[[batch.Task], Done], jobs: int,
              skip_existing: bool, chatter: Chatter) -> None:
    """Do all tasks, say how each went, and exit with 1 if one failed."""
    started = [task for task in tasks if not (skip_existing and task.target.exists())]
    table: list[tuple[batch.Task, Done]] = []
    with chatter.progress(action, len(started)) as on_task:
        for number, (task, done) in enumerate(batch.run(started, work, jobs), 1):
            table.append((task, done))
            on_task(number)
    failed = [(task, done) for task, done in table if done.failure]
    table = [(task, done) for task, done in table if not done.failure]
    for task, done in sorted(table, key=lambda row: row[0].target):
        for note in done.notes:
            chatter.say(f"{task.source}: {note}")
        chatter.say(summary_line(str(task.target), done))
    if len(table) > 1:
        total = Done(*(sum(getattr(done, name) for _, done in table) for name in ("before", "after", "pixels")))
        chatter.say(summary_line(f"{len(table)} files", total))
    if len(started) < len(tasks):
        chatter.say(f"{len(tasks) - len(started)} files were there already")
    for _, done in failed:
        click.echo(f"cdraw: error: {done.failure}", err=True)
    if failed:
        raise SystemExit(1)


def summary_line(name: str, done: Done) -> str:
    """Bytes of the .cdr side, its bits per pixel, and how many times smaller it is than the other side."""
    small, large = sorted((done.before, done.after))
    return f"{name}: {small:,} bytes, {8 * small / done.pixels:.3f} bpp, 1:{large / small:.1f}"


def plan_batch(inputs: tuple[str, ...], output: str | None, suffix: str, accepted: set[str], recursive: bool
               ) -> list[batch.Task]:
    """The tasks, with folders for their results made. Wrong plans are wrong usage."""
    if STANDARD in inputs or output == STANDARD:
        raise click.UsageError("standard input and output take one file.")
    if output is None or (os.path.lexists(output) and not os.path.isdir(output)):
        raise click.UsageError("many files go to a folder: -o FOLDER/.")
    try:
        tasks = batch.plan([Path(name) for name in inputs], Path(output), suffix, accepted, recursive)
    except CdrawError as error:
        raise click.UsageError(f"{error}.") from error
    with failing("write", output):
        for folder in {task.target.parent for task in tasks}:
            folder.mkdir(parents=True, exist_ok=True)
    return tasks


@dataclass(frozen=True)
class Compressing:
    """The options of ``compress`` that matter to each file."""

    model: str | None
    threads: int | None
    force: bool
    budget: dict[str, Any]
    leave_out: dict[str, bool]

    def convert(self, content: bytes, source: str, on_step: Callable[[int], None] | None) -> tuple[bytes, list[str]]:
        """The .cdr file of a picture, and what was lost on the way."""
        from .images import read_picture

        codec = load_codec(self.model, self.threads)
        if (self.budget.get("steps") or 1) > codec.total_steps:
            raise click.UsageError(f"--steps: this model has {codec.total_steps} steps.")
        with failing("compress", source), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            picture = read_picture(io.BytesIO(content))
            data = codec.compress(picture, **self.budget, **self.leave_out, on_step=on_step)
        return data, [str(warning.message) for warning in caught]

    @settled
    def __call__(self, task: batch.Task) -> Done:
        """Compress one of many."""
        source, output = str(task.source), choose_output(str(task.source), str(task.target), ".cdr", self.force)
        with failing("read", source):
            content = read_input(source)
        data, notes = self.convert(content, source, None)
        save(output, data)
        header = bitstream.parse_header(data)
        return Done(len(content), len(data), header.width * header.height, tuple(notes))


@main.command()
@INPUTS
@OUTPUT
@click.option("--steps", type=STEPS, help="Steps to store; fewer is smaller. Default: all.")
@SIZE
@BPP
@click.option("--psnr", type=click.FloatRange(0, min_open=True), help="As few bytes as give so many decibels.")
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel.")
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF and XMP.")
@FORCE
@MODEL
@batch_options
@chatter_options
def compress(inputs: tuple[str, ...], output: str | None, steps: int | None, size: int | None, bpp: float | None,
             psnr: float | None, drop_alpha: bool, strip: bool, force: bool, model: str | None, threads: int | None,
             jobs: int, recursive: bool, skip_existing: bool, chatter: Chatter) -> None:
    """Compress the pictures INPUT (- is standard input) to .cdr files.

    Several pictures, or those below a folder with --recursive, go to the folder OUTPUT.
    """
    only_one(steps=steps, size=size, bpp=bpp, psnr=psnr)
    if is_batch(inputs, output):
        import PIL.Image

        PIL.Image.init()
        tasks = plan_batch(inputs, output, ".cdr", set(PIL.Image.registered_extensions()), recursive)
        threads = threads or batch.threads_each(jobs)
    options = Compressing(model, threads, force, {"steps": steps, "size": size, "bpp": bpp, "psnr": psnr},
                          {"drop_alpha": drop_alpha, "strip": strip})
    if is_batch(inputs, output):
        run_batch("Compressing", tasks, options, jobs, skip_existing, chatter)
        return
    input = inputs[0]
    output = choose_output(input, output, ".cdr", force)
    with failing("read", input):
        content = read_input(input)
    with chatter.progress("Compressing", steps or load_codec(model, threads).total_steps) as on_step:
        data, notes = options.convert(content, input, on_step)
    for note in notes:
        chatter.say(f"{name_of(input)}: {note}")
    save(output, data)
    if chatter.verbose:
        chatter.say(step_sizes(data))
    chatter.say(f"Compressed to {size_summary(data, bitstream.parse_header(data))}")


@dataclass(frozen=True)
class Decompressing:
    """The options of ``decompress`` that matter to each file."""

    model: str | None
    threads: int | None
    force: bool
    steps: int | None
    fill: Any
    seed: int
    allow_truncated: bool

    def check(self, data: bytes, source: str) -> tuple[bitstream.Header, list[str]]:
        """What will be decoded, before a model is loaded; and what is missing."""
        with failing("decode", source):
            try:
                return bitstream.read(data, steps=self.steps).header, []
            except TruncatedError as error:
                if not error.steps:
                    raise
                if not self.allow_truncated:
                    advice = f"--allow-truncated decodes the {error.steps} whole steps before"
                    raise TruncatedError(f"{error}; {advice}", error.steps) from error
                header = bitstream.read(data, allow_truncated=True, steps=self.steps).header
                return header, [f"{error}; decoding its {error.steps} whole steps"]

    def convert(self, data: bytes, source: str, output: str, on_step: Callable[[int], None] | None) -> bytes:
        """The picture of a .cdr file, in the format that the output's suffix names."""
        with failing("decode", source):
            picture = load_codec(self.model, self.threads).decompress(
                data, self.steps, self.fill, self.seed, allow_truncated=self.allow_truncated, on_step=on_step)
        return encode(picture, output)

    def follow(self, source: str, output: str, chatter: Chatter) -> None:
        """Write the picture anew for each step, as it arrives."""
        codec = load_codec(self.model, self.threads)
        with failing("decode", source), contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if source == STANDARD else stack.enter_context(open(source, "rb"))
            for step, picture in enumerate(codec.progressive(file, allow_truncated=self.allow_truncated), 1):
                save(output, encode(picture, output))
                chatter.say(f"{output}: step {step}")

    @settled
    def __call__(self, task: batch.Task) -> Done:
        """Decompress one of many."""
        source, output = str(task.source), choose_output(str(task.source), str(task.target), ".png", self.force)
        with failing("read", source):
            data = read_input(source)
        header, notes = self.check(data, source)
        picture = self.convert(data, source, output, None)
        save(output, picture)
        return Done(len(data), len(picture), header.width * header.height, tuple(notes))


def encode(picture: Image, output: str) -> bytes:
    """The picture in the format that the output's suffix names, with its metadata."""
    from .images import METADATA

    encoded, picture_format = io.BytesIO(), format_of(output)
    metadata = {key: picture.info[key] for key in METADATA.values() if key in picture.info}
    try:
        picture.save(encoded, picture_format, **metadata)
    except (OSError, ValueError) as error:  # too large for the format, say
        raise Failure(f"cannot write {output} as {picture_format}: {error}") from error
    return encoded.getvalue()


@main.command()
@INPUTS
@OUTPUT
@click.option("--steps", type=STEPS, help="Use only the first so many steps.")
@click.option("--fill", type=click.Choice(["mean", "sample", "none"]), default="mean", show_default=True,
              help="What stands in for steps that are not stored: the prior's mean, a sample from it, or nothing.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Seed of the sample.")
@click.option("--allow-truncated", is_flag=True, help="Decode the whole steps of a file that ends early.")
@click.option("--follow", is_flag=True, help="Write a better OUTPUT for each step, as INPUT arrives.")
@FORCE
@MODEL
@batch_options
@chatter_options
def decompress(inputs: tuple[str, ...], output: str | None, steps: int | None, fill: Any, seed: int,
               allow_truncated: bool, follow: bool, force: bool, model: str | None, threads: int | None, jobs: int,
               recursive: bool, skip_existing: bool, chatter: Chatter) -> None:
    """Decompress the .cdr files INPUT (- is standard input) to pictures.

    The suffix of OUTPUT chooses the format; standard output gets PNG. Several files, or those below a folder with
    --recursive, go to the folder OUTPUT, as PNG.
    """
    if is_batch(inputs, output):
        if follow:
            raise click.UsageError("--follow takes one file.")
        tasks = plan_batch(inputs, output, ".png", {".cdr"}, recursive)
        threads = threads or batch.threads_each(jobs)
    options = Decompressing(model, threads, force, steps, fill, seed, allow_truncated)
    if is_batch(inputs, output):
        run_batch("Decompressing", tasks, options, jobs, skip_existing, chatter)
        return
    input = inputs[0]
    output = choose_output(input, output, ".png", force)
    format_of(output)
    if follow:
        if output == STANDARD or steps is not None or fill != "mean":
            raise click.UsageError("--follow needs a file as OUTPUT, and goes without --steps and --fill.")
        options.follow(input, output, chatter)
        return
    with failing("read", input):
        data = read_input(input)
    header, notes = options.check(data, input)
    for note in notes:
        chatter.say(f"{name_of(input)}: {note}")
    chatter.say(f"{name_of(input)}: {size_summary(data, header)}, model {header.model}", level=1)
    load_codec(model, threads)
    with chatter.progress("Decompressing", header.steps + header.cut) as on_step:
        picture = options.convert(data, input, output, on_step)
    save(output, picture)
    chatter.say(f"Decompressed {header.width}x{header.height} {header.mode} from {steps_of(header)}")


def format_of(output: str) -> str:
    """The Pillow format that the suffix of the output names."""
    if output == STANDARD:
        return "PNG"
    import PIL.Image

    PIL.Image.init()
    suffix = Path(output).suffix.lower()
    name = PIL.Image.registered_extensions().get(suffix)
    if name is None or name not in PIL.Image.SAVE:
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
