"""The command line: commands and their options.

Pictures and data go to files or standard output, all chatter to standard error. Exit codes: 0 done, 1 failed
with one sentence, 2 wrong usage.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..atomic_write import STANDARD
from ..errors import CdrawError
from ..format import bitstream, constants
from ..options import FILLS, REDUCTIONS
from . import many_files
from .console import Chatter, Failure, failing, name_of, print_out
from .one_file import (
    Compressing,
    Decompressing,
    Done,
    choose_output,
    compared,
    encode,
    format_of,
    load_any,
    load_codec,
    original_and_file,
    rate_and_quality,
    read_input,
    save,
    upright,
)
from .param_types import Amount, Bytes, Numbers

INPUT = click.argument("input", metavar="INPUT")
INPUTS = click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
OUTPUT = click.option("-o", "--output", metavar="OUTPUT", help="File to write; - is standard output.")
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
STEPS = click.IntRange(1, 255)
MODEL = click.option("--model", type=click.Path(dir_okay=False), help="Model file in place of the bundled one.")
THREADS = click.option("--threads", type=click.IntRange(1), help="Processor threads; default: all cores.")
SIZE = click.option("--size", type=Bytes(), help="At most so many bytes: 20000, 20KB, 1.5MiB.")
BPP = click.option("--bpp", type=Amount(), help="At most so many bits per pixel.")


def only_one(**budgets: Any) -> bool:
    """Whether one of these options was given; more than one is wrong usage."""
    given = [f"--{name}" for name, value in budgets.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    return bool(given)


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


def steps_of(header: bitstream.Header) -> str:
    """How many steps a file stores, in words."""
    if header.lossless:
        return "lossless"
    more, residual = "+" if header.cut else "", header.steps - header.total_steps
    if residual < 0 or not (residual or more):
        return f"{header.steps}{more} of {header.total_steps} steps"
    return f"{header.total_steps} steps, {residual}{more} of {constants.RESIDUAL_STEPS} residual steps"


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


def is_batch(inputs: tuple[str, ...], output: str | None) -> bool:
    """Many files, or a folder to put results into, or one to take files from."""
    into = output is not None and output != STANDARD and (output.endswith(("/", os.sep)) or os.path.isdir(output))
    return len(inputs) > 1 or into or os.path.isdir(inputs[0])


def run_batch(action: str, tasks: list[many_files.Task], work: Callable[[many_files.Task], Done], jobs: int,
              skip_existing: bool, chatter: Chatter) -> None:
    """Do all tasks, say how each went, and exit with 1 if one failed."""
    started = [task for task in tasks if not (skip_existing and task.target.exists())]
    table: list[tuple[many_files.Task, Done]] = []
    with chatter.progress(action, len(started)) as on_task:
        for number, (task, done) in enumerate(many_files.run(started, work, jobs), 1):
            killed = f"cannot work on {task.source}: its process was killed, perhaps for want of memory"
            table.append((task, done or Done(failure=killed)))
            on_task(number)
    failed = [(task, done) for task, done in table if done.failure]
    table = [(task, done) for task, done in table if not done.failure]
    for task, done in sorted(table, key=lambda row: row[0].target):
        for note in done.notes:
            chatter.say(f"{task.source}: {note}")
        chatter.say(summary_line(str(task.target), done))
    if len(table) > 1:
        total = Done(*(sum(getattr(done, name) for _, done in table) for name in ("coded", "picture", "pixels")))
        chatter.say(summary_line(f"{len(table)} files", total))
    if len(started) < len(tasks):
        chatter.say(f"{len(tasks) - len(started)} files were there already")
    for _, done in failed:
        click.echo(f"cdraw: error: {done.failure}", err=True)
    if failed:
        raise SystemExit(1)


def summary_line(name: str, done: Done) -> str:
    """Bytes of the .cdr file, its bits per pixel, and how many times smaller it is than the other one."""
    return f"{name}: {done.coded:,} bytes, {8 * done.coded / done.pixels:.3f} bpp, 1:{done.picture / done.coded:.1f}"


def plan_batch(inputs: tuple[str, ...], output: str | None, suffix: str, accepted: set[str], recursive: bool
               ) -> list[many_files.Task]:
    """The tasks, with folders for their results made. Wrong plans are wrong usage."""
    if STANDARD in inputs or output == STANDARD:
        raise click.UsageError("standard input and output take one file.")
    if output is None or (os.path.lexists(output) and not os.path.isdir(output)):
        raise click.UsageError("many files go to a folder: -o FOLDER/.")
    with failing("read", "the folders"):
        try:
            tasks = many_files.plan([Path(name) for name in inputs], Path(output), suffix, accepted, recursive)
        except CdrawError as error:
            raise click.UsageError(f"{error}.") from error
    with failing("write", output):
        for folder in {task.target.parent for task in tasks}:
            folder.mkdir(parents=True, exist_ok=True)
    return tasks


@main.command()
@INPUTS
@OUTPUT
@click.option("--steps", type=STEPS, help="Steps to store; fewer is smaller. Default: all of the model.")
@SIZE
@BPP
@click.option("--psnr", type=Amount(), help="As few bytes as give so many decibels.")
@click.option("--lossless", is_flag=True, default=None, help="Every pixel exactly; still cut to any size later.")
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel.")
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF and XMP.")
@click.option("--keep-orientation", is_flag=True, help="Do not turn the picture as its EXIF orientation says.")
@FORCE
@MODEL
@batch_options
@chatter_options
def compress(inputs: tuple[str, ...], output: str | None, steps: int | None, size: int | None, bpp: float | None,
             psnr: float | None, lossless: bool | None, drop_alpha: bool, strip: bool, keep_orientation: bool,
             force: bool, model: str | None, threads: int | None, jobs: int, recursive: bool, skip_existing: bool,
             chatter: Chatter) -> None:
    """Compress the pictures INPUT (- is standard input) to .cdr files.

    Several pictures, or those below a folder with --recursive, go to the folder OUTPUT.
    """
    only_one(steps=steps, size=size, bpp=bpp, psnr=psnr, lossless=lossless)
    if is_batch(inputs, output):
        import PIL.Image

        PIL.Image.init()
        opened = {*PIL.Image.OPEN, "MPO"}  # which are opened as JPEG
        known = {suffix for suffix, name in PIL.Image.registered_extensions().items() if name in opened}
        tasks = plan_batch(inputs, output, ".cdr", known, recursive)
        threads = threads or many_files.threads_each(jobs)
    options = Compressing(model, threads, force, {"steps": steps, "size": size, "bpp": bpp, "psnr": psnr,
                                                  "lossless": bool(lossless)},
                          {"drop_alpha": drop_alpha, "strip": strip, "keep_orientation": keep_orientation})
    if is_batch(inputs, output):
        run_batch("Compressing", tasks, options, jobs, skip_existing, chatter)
        return
    input = inputs[0]
    output = choose_output(input, output, ".cdr", force)
    codec = load_codec(model, threads)
    with chatter.progress("Compressing", codec.lossless_steps if lossless else steps or codec.total_steps) as on_step:
        data, _, notes = options.convert(input, on_step)
    for note in notes:
        chatter.say(f"{name_of(input)}: {note}")
    save(output, data)
    if chatter.verbose:
        chatter.say(step_sizes(data))
    chatter.say(f"Compressed to {size_summary(data, bitstream.parse_header(data))}")


@main.command()
@INPUTS
@OUTPUT
@click.option("--steps", type=STEPS, help="Use only the first so many steps.")
@click.option("--fill", type=click.Choice(FILLS), default=FILLS[0],
              show_default=True, help="What stands in for steps that are not stored: the likeliest picture, steps on "
              "the prior's mean, on a sample from it, or nothing.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Seed of the sample.")
@click.option("--reduce", type=click.Choice(REDUCTIONS), default=1, show_default=True,
              help="Divide width and height, and take less time.")
@click.option("--allow-truncated", is_flag=True, help="Decode the whole steps of a file that ends early.")
@click.option("--follow", is_flag=True, help="Write a better OUTPUT for each step, as INPUT arrives.")
@FORCE
@MODEL
@batch_options
@chatter_options
def decompress(inputs: tuple[str, ...], output: str | None, steps: int | None, fill: Any, seed: int,
               reduce: int, allow_truncated: bool, follow: bool, force: bool, model: str | None, threads: int | None,
               jobs: int, recursive: bool, skip_existing: bool, chatter: Chatter) -> None:
    """Decompress the .cdr files INPUT (- is standard input) to pictures.

    The suffix of OUTPUT chooses the format; standard output gets PNG. Several files, or those below a folder with
    --recursive, go to the folder OUTPUT, as PNG.
    """
    if is_batch(inputs, output):
        if follow:
            raise click.UsageError("--follow takes one file.")
        tasks = plan_batch(inputs, output, ".png", {".cdr"}, recursive)
        threads = threads or many_files.threads_each(jobs)
    options = Decompressing(model, threads, force, steps, fill, seed, reduce, allow_truncated)
    if is_batch(inputs, output):
        run_batch("Decompressing", tasks, options, jobs, skip_existing, chatter)
        return
    input = inputs[0]
    output = choose_output(input, output, ".png", force)
    format_of(output)
    if follow:
        if output == STANDARD or steps is not None or fill != FILLS[0] or reduce > 1:
            raise click.UsageError("--follow needs a file as OUTPUT, and goes without --steps, --fill and --reduce.")
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
    width, height = -(-header.width // reduce), -(-header.height // reduce)
    chatter.say(f"Decompressed {width}x{height} {header.mode} from {steps_of(header)}")


@main.command()
@INPUT
@chatter_options
def info(input: str, chatter: Chatter) -> None:
    """Say what the .cdr file INPUT holds; with -v, the bytes of each step."""
    with failing("read", input):
        data = read_input(input)
        contents = bitstream.read(data)
    header = contents.header
    print_out(f"{name_of(input)}: {header.width}x{header.height} {header.mode}, {size_summary(data, header)}, "
              f"model {header.model}")
    if chatter.verbose:
        print_out(step_sizes(data))


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
@THREADS
def selftest(threads: int | None) -> None:
    """Decode the files that come with cdraw in every way this machine offers, and compare every pixel."""
    import torch

    from ..network.exact_conv import fastest_exact
    from ..selftest import selftest as outcomes

    if threads:
        torch.set_num_threads(threads)
    with failing("decode on", "this machine"):
        used = fastest_exact()
    failed = False
    for outcome in outcomes():
        if not outcome.pictures:
            print_out(f"{outcome.path}: not exact on this machine, and not used")
            continue
        failed |= bool(outcome.wrong) and outcome.path == used
        verdict = f"wrong in {', '.join(outcome.wrong)}" if outcome.wrong else "exact"
        print_out(f"{outcome.path}: {verdict}; {outcome.pictures} pictures in {outcome.seconds:.1f} s"
                  + "; used here" * (outcome.path == used))
    if failed:
        raise Failure("this machine shows wrong pixels: please report it, with what is printed above")


@main.command()
@click.argument("original", metavar="ORIGINAL")
@INPUTS
@MODEL
@THREADS
def compare(original: str, inputs: tuple[str, ...], model: str | None, threads: int | None) -> None:
    """Say how far each INPUT is from the picture ORIGINAL: bytes, bits per pixel, PSNR and MS-SSIM.

    Each may be a .cdr file or any other picture. Colours are compared, alpha channels are not.
    """
    if (original, *inputs).count(STANDARD) > 1:
        raise click.UsageError("standard input is one file.")
    first, _ = load_any(original, model, threads)
    for source in inputs:
        other, size = load_any(source, model, threads)
        with failing("compare", source):
            verdict = compared(first, other, size)
        print_out(f"{name_of(source)}: {verdict}")


@main.command()
@INPUT
@click.option("-o", "--output", metavar="OUTPUT", required=True, help="Picture to write; - is standard output.")
@click.option("--steps", type=Numbers(), metavar="N,N,...", help="The cuts to show. Default: five.")
@click.option("--width", type=click.IntRange(16, 4096), default=220, show_default=True, help="Pixels of each panel.")
@click.option("--crop", type=Numbers(4), metavar="LEFT,TOP,RIGHT,BOTTOM", help="The part to show, in pixels.")
@FORCE
@MODEL
@THREADS
@chatter_options
def montage(input: str, output: str, steps: tuple[int, ...] | None, width: int, crop: tuple[int, int, int, int] | None,
            force: bool, model: str | None, threads: int | None, chatter: Chatter) -> None:
    """Draw the cuts of one file side by side, with their sizes.

    INPUT is a .cdr file, or a picture, which then is shown last and compared.
    """
    from .montage import Montage

    choose_output(input, output, ".png", force)
    format_of(output)
    with failing("read", input):
        content = read_input(input)
    codec, original, data = load_codec(model, threads), None, content
    if not content.startswith(constants.MAGIC):
        original, data = original_and_file(content, input, codec)
    with failing("decode", input):
        header = bitstream.read(data).header
    if not header.steps:
        raise Failure(f"cannot draw the cuts of {name_of(input)}: it does not hold a whole step")
    if steps and not all(1 <= step <= header.steps for step in steps):
        raise click.UsageError(f"--steps: the file has {header.steps} whole steps.")
    strip = Montage(width, crop)
    with failing("draw the cuts of", input):
        for step in steps or sorted({1 + round(i * (header.steps - 1) / 4) for i in range(5)}):
            picture, size = upright(codec.decompress(data, step)), len(bitstream.truncate(data, step))
            if crop and not (crop[0] < crop[2] <= picture.width and crop[1] < crop[3] <= picture.height):
                raise click.UsageError(f"--crop: that is no part of {picture.width}x{picture.height} pixels.")
            strip.add(picture, f"{step} steps: {size:,} bytes", rate_and_quality(size, picture, original))
        if original:
            strip.add(upright(original), "original", f"{header.width}x{header.height}")
        picture = strip.draw()
    save(output, encode(picture, output))
    chatter.say(f"Drew {picture.width}x{picture.height} pixels")


@main.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="Model file to write (.safetensors).")
@click.option("--config", default="photo", show_default=True,
              help="Name of a configuration that comes with cdraw, or a TOML file.")
@click.option("--from", "origin", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Model file of the same configuration (quantisers may differ), to begin with its weights.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
              help="Time between checkpoints.")
@THREADS
@chatter_options
def train(data: tuple[Path, ...], output: Path, config: str, origin: Path | None, minutes: float, threads: int | None,
          chatter: Chatter) -> None:
    """Train a model on DATA: on the photographs below each folder, or, with a configuration of a generative model
    (paper/...), on files of small pictures.

    A checkpoint, OUTPUT with .ckpt added, and the model so far are written every few minutes; the same command
    goes on from there.
    """
    import torch

    from .train import find_config, load_config
    from .train import train as run

    if threads:
        torch.set_num_threads(threads)
    if not output.parent.is_dir():
        raise Failure(f"cannot write {output}: there is no folder {output.parent}")
    with failing("train on", config):
        run(load_config(find_config(config)), list(data), output, chatter.say, origin=origin,
            checkpoint_minutes=minutes)
