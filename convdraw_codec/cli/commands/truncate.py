"""``cdraw truncate``: a .cdr file in fewer bytes."""

from __future__ import annotations

from functools import partial

import click

from ...format import bitstream
from ..console import Chatter, failing
from ..conversions import Files, convert
from ..files import Place, read_input, save
from ..options import BPP, SIZE, chatter_options, file_options, only_one
from ..reports import Done, shrunk


def cut_one(steps: int | None, size: int | None, bpp: float | None, source: Place, target: Place, chatter: Chatter
            ) -> Done:
    """Cut one file as ``bitstream.truncate`` does."""
    with failing("cut", source):
        data = read_input(source, chatter)
        cut = bitstream.truncate(data, steps, size=size, bpp=bpp)
    save(target, cut)
    return shrunk(source, len(data), target, cut)


def needs_the_picture(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Refuse --psnr."""
    if value is not None:
        raise click.UsageError("--psnr takes the original to compare with: use cdraw compress --psnr.", ctx)


@click.command()
@file_options
@click.option("--steps", type=int, help="Steps to keep.")
@SIZE
@BPP
@click.option("--psnr", hidden=True, expose_value=False, callback=needs_the_picture)
@chatter_options
def truncate(files: Files, steps: int | None, size: int | None, bpp: float | None, chatter: Chatter) -> None:
    """Cut the .cdr files INPUT (- is standard input) to fewer steps or bytes. Needs no model and takes no time.

    Several files, or those below a folder with --recursive, go to the folder OUTPUT.
    """
    if not only_one(steps=steps, size=size, bpp=bpp):
        raise click.UsageError("give one of --steps, --size and --bpp.")
    if files.output is None:
        raise click.UsageError("give -o OUTPUT: the input itself stays as it is.")
    convert("Cutting", files, ".cdr", partial(cut_one, steps, size, bpp), chatter)
