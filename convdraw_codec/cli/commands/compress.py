"""``cdraw compress``: pictures to .cdr files."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ...atomic_write import STANDARD
from ..console import Chatter, failing
from ..conversions import Files, convert
from ..files import Place, read_input, save
from ..options import BPP, DROP_ALPHA, SIZE, chatter_options, codec_options, file_options, only_one
from ..param_types import amount
from ..reports import Done, shrunk

if TYPE_CHECKING:
    from ...codec import Codec


def compress_one(load: Callable[[], Codec], options: dict[str, Any], source: Place, target: Place, chatter: Chatter
                 ) -> Done:
    """Compress one picture. options: arguments of ``Codec.compress``."""
    codec = load()
    steps = steps_to_come(codec, options)
    file: Path | BinaryIO
    with failing("read", source):
        if source != STANDARD and os.path.isfile(source):
            with open(source, "rb"):
                size, file = os.path.getsize(source), source  # read later: it may be large
        else:
            content = read_input(source, chatter)
            size, file = len(content), io.BytesIO(content)
    with (failing("compress", source), warnings.catch_warnings(record=True) as caught,
          chatter.progress("Compressing", steps) as on_step):
        warnings.simplefilter("always", UserWarning)
        data, quality = compressed(codec, file, {**options, "on_step": on_step})
    save(target, data)
    notes = [str(warning.message) for warning in caught]
    if len(data) > size:
        notes.append("the result is larger than the input")
    return shrunk(source, size, target, data, quality, tuple(notes))


def steps_to_come(codec: Codec, options: dict[str, Any]) -> int:
    """How many steps there will be. Beyond the model is wrong usage."""
    steps = codec.lossless_steps if options["lossless"] else options["steps"]
    if steps is None:
        return codec.total_steps
    if not 1 <= steps <= codec.lossless_steps:
        raise click.UsageError(f"--steps: this model takes 1 to {codec.total_steps}, or up to {codec.lossless_steps} "
                               f"with residual steps, not {steps}.")
    return int(steps)


def compressed(codec: Codec, file: Path | BinaryIO, options: dict[str, Any]) -> tuple[bytes, float | None]:
    """The .cdr file, and its decibels if some were asked for."""
    from ...pictures.conversion import read_picture
    from ...pictures.metrics import psnr

    if options["psnr"] is None:
        return codec.compress(file, **options), None
    picture = read_picture(file, **{name: options[name] for name in ("keep_orientation", "page", "strip")})
    data = codec.compress(picture, **options)
    return data, psnr(picture.pixels, codec.decompress(data).convert(picture.pixels.mode))


class Compress(click.Command):
    """The command. It knows what ``-q 80`` means elsewhere."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a quality."""
        for option, value in pairwise([*args, ""]):
            quality = re.fullmatch(r"(-q|--quality)=?([0-9.]*)", option)
            if quality and (quality[2] or quality[1] == "--quality"
                            or (re.fullmatch(r"[0-9.]+", value) and not os.path.lexists(value))):
                raise click.UsageError("--psnr, --bpp and --size choose the quality; -q says nothing but errors.", ctx)
        return super().parse_args(ctx, args)


@click.command(cls=Compress)
@file_options
@click.option("--steps", type=int, help="Steps to store; fewer is smaller. Default: all of the model.")
@SIZE
@BPP
@click.option("--psnr", type=amount, metavar="NUMBER", help="As few bytes as give so many decibels.")
@click.option("--lossless", is_flag=True, help="Every pixel exactly; photographs still cut to any size later.")
@DROP_ALPHA
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF, XMP and resolution.")
@click.option("--keep-orientation", is_flag=True, help="Do not turn the picture as its EXIF orientation says.")
@click.option("--page", type=click.IntRange(1), help="The page of a TIFF file with several. Default: the main picture.")
@codec_options
@chatter_options
def compress(files: Files, load: Callable[[], Codec], jobs: int, chatter: Chatter, **options: Any) -> None:
    """Compress the pictures INPUT (- is standard input) to .cdr files.

    Several pictures, or those below a folder with --recursive, go to the folder OUTPUT, or beside their sources.
    """
    only_one(**{name: options[name] for name in ("steps", "size", "bpp", "psnr", "lossless")})
    convert("Compressing", files, ".cdr", partial(compress_one, load, options), chatter, jobs, pictures=True)
