"""``cdraw montage``: the cuts of a file side by side, with captions."""

from __future__ import annotations

import io
import warnings

import click

from ...errors import counted
from ...format import bitstream, constants
from ..console import Chatter, Failure, failing, name_of
from ..files import Place, check_input, choose_output, place, read_input, save
from ..loading import load_codec
from ..options import FORCE, INPUT, MODEL, THREADS, chatter_options
from ..param_types import box, numbers
from ..picture_output import encode, format_of


@click.command()
@INPUT
@click.option("-o", "--output", metavar="OUTPUT", required=True, help="Picture to write; - is standard output.")
@click.option("--steps", type=numbers, metavar="N,N,...", help="The cuts to show. Default: five.")
@click.option("--width", type=click.IntRange(16, 4096), default=220, show_default=True, help="Pixels of each panel.")
@click.option("--crop", type=box, metavar="LEFT,TOP,RIGHT,BOTTOM", help="The part to show, in pixels.")
@FORCE
@MODEL
@THREADS
@chatter_options
def montage(input: Place, output: str, steps: tuple[int, ...] | None, width: int,
            crop: tuple[int, int, int, int] | None, force: bool, model: str | None, threads: int | None,
            chatter: Chatter) -> None:
    """Draw the cuts of one file side by side, with their sizes.

    INPUT is a .cdr file, or a picture, which then is shown last and compared.
    """
    from ...pictures import montage as drawing
    from ...pictures.conversion import read_picture, upright
    from ...pictures.metrics import psnr

    check_input(input)
    target = choose_output(input, place(output), ".png", force, model)
    format_of(target)
    with failing("read", input):
        content = read_input(input, chatter)
    codec, original, data = load_codec(model, threads), None, content
    if not content.startswith(constants.MAGIC):
        with failing("compress", input), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            read = read_picture(io.BytesIO(content))
            original, data = read.pixels, codec.compress(read)
    with failing("decode", input):
        header = bitstream.read(data).header
    if not header.steps:
        raise Failure(f"cannot draw the cuts of {name_of(input)}: it does not hold a whole step")
    if steps and not all(1 <= step <= header.steps for step in steps):
        raise click.UsageError(f"--steps: the file has {counted(header.steps, 'whole step')}.")
    panels = []
    with failing("draw the cuts of", input):
        for step in steps or sorted({1 + round(i * (header.steps - 1) / 4) for i in range(5)}):
            picture, size = upright(codec.decompress(data, step)), len(bitstream.truncate(data, step))
            if crop and not (crop[0] < crop[2] <= picture.width and crop[1] < crop[3] <= picture.height):
                raise click.UsageError(f"--crop: that is no part of {picture.width}x{picture.height} pixels.")
            rate = f"{8 * size / (picture.width * picture.height):.3f} bpp"
            if original:
                rate += f", {psnr(original, picture.convert(original.mode)):.2f} dB"
            caption = f"{counted(step, 'step')}: {counted(size, 'byte')}", rate
            panels.append((drawing.panel(picture.crop(crop), width), caption))
        if original:
            caption = "original", f"{header.width}x{header.height}"
            panels.append((drawing.panel(upright(original).crop(crop), width), caption))
        picture = drawing.montage(panels)
    encoded, lost = encode(picture, target)
    save(target, encoded)
    for note in lost:
        chatter.say(f"{target}: {note}")
    chatter.say(f"Drew {picture.width}x{picture.height} pixels")
