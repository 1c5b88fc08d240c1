"""``cdraw montage``: the cuts of a file side by side, with captions."""

from __future__ import annotations

import io
import itertools
import warnings
from typing import TYPE_CHECKING

import click

from ...errors import counted
from ...format import bitstream, constants
from ..console import Chatter, Failure, failing, name_of
from ..files import Place, check_input, choose_output, place, read_input, save
from ..loading import load_codec
from ..options import FORCE, INPUT, MODEL, THREADS, chatter_options
from ..param_types import box, numbers
from ..picture_output import encode, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...codec import Codec
    from ...pictures.montage import Panel


@click.command()
@INPUT
@click.option("-o", "--output", metavar="OUTPUT", required=True, help="Picture to write; - is standard output.")
@click.option("--steps", type=numbers, metavar="N,N,...", help="The cuts to show. Default: five.")
@click.option("--seeds", type=click.IntRange(1, 16), metavar="N", help="Show N plausible pictures of each cut as well.")
@click.option("--width", type=click.IntRange(16, 4096), default=220, show_default=True, help="Pixels of each panel.")
@click.option("--crop", type=box, metavar="LEFT,TOP,RIGHT,BOTTOM", help="The part to show, in pixels.")
@FORCE
@MODEL
@THREADS
@chatter_options
def montage(input: Place, output: str, steps: tuple[int, ...] | None, seeds: int | None, width: int,
            crop: tuple[int, int, int, int] | None, force: bool, model: str | None, threads: int | None,
            chatter: Chatter) -> None:
    """Draw the cuts of one file side by side, with their sizes.

    INPUT is a .cdr file, or a picture, which then is shown last and compared.
    """
    from ...pictures import montage as drawing
    from ...pictures.conversion import read_picture, upright

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
    cuts = steps or sorted({1 + round(i * (header.steps - 1) / 4) for i in range(5)})
    with failing("draw the cuts of", input):
        rows = [_panels(codec, data, step, seeds, original, crop, width) for step in cuts]
        if original:
            last = drawing.panel(upright(original).crop(crop), width), ("original", f"{header.width}x{header.height}")
            rows = [[*row, last] for row in rows] if seeds else [*rows, [last]]
        picture = drawing.montage(rows if seeds else [list(itertools.chain(*rows))])
    encoded, lost = encode(picture, target)
    save(target, encoded)
    for note in lost:
        chatter.say(f"{target}: {note}")
    chatter.say(f"Drew {picture.width}x{picture.height} pixels")


def _panels(codec: Codec, data: bytes, step: int, seeds: int | None, original: Image | None,
            crop: tuple[int, int, int, int] | None, width: int) -> list[Panel]:
    """What a cut shows: the likeliest picture, and then plausible ones."""
    from ...pictures import montage as drawing
    from ...pictures.conversion import upright
    from ...pictures.metrics import psnr

    size = len(bitstream.truncate(data, step))
    result: list[Panel] = []
    for seed in (None, *range(seeds or 0)):
        decoded = codec.decompress(data, step) if seed is None else codec.decompress(data, step, "plausible", seed)
        picture = upright(decoded)
        if crop and not (crop[0] < crop[2] <= picture.width and crop[1] < crop[3] <= picture.height):
            raise click.UsageError(f"--crop: that is no part of {picture.width}x{picture.height} pixels.")
        what = f"{8 * size / (picture.width * picture.height):.3f} bpp" if seed is None else f"plausible, seed {seed}"
        if original:
            what += f", {psnr(original, picture.convert(original.mode)):.2f} dB"
        caption = f"{counted(step, 'step')}: {counted(size, 'byte')}", what
        result.append((drawing.panel(picture.crop(crop), width), caption))
    return result
