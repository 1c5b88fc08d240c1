"""``cdraw compress``: pictures to .cdr files."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ...atomic_write import STANDARD
from ...errors import counted
from ...format import bitstream
from ..console import Chatter, failing
from ..conversions import Files, convert_many, convert_one
from ..files import Place, read_input, save
from ..loading import load_codec
from ..options import BPP, JOBS, MAX_PIXELS, MODEL, SIZE, THREADS, chatter_options, file_options, only_one
from ..param_types import Amount
from ..picture_output import picture_suffixes
from ..process import threads_each
from ..reports import Done, made, size_summary, step_sizes

if TYPE_CHECKING:
    from ...codec import Codec


@dataclass(frozen=True)
class Compressing:
    """The options that matter to each picture."""

    model: str | None
    threads: int | None
    budget: dict[str, Any]
    handling: dict[str, Any]
    max_pixels: int

    def __call__(self, source: Place, target: Place, chatter: Chatter) -> Done:
        """Compress one picture."""
        codec = load_codec(self.model, self.threads, self.max_pixels)
        steps = self._steps(codec)
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
            data, quality = self._compress(codec, file, on_step)
        save(target, data)
        notes = [str(warning.message) for warning in caught]
        if len(data) > size:
            notes.append("the result is larger than the input")
        contents = bitstream.read(data)
        header = contents.header
        report = made(source, counted(size, "byte"), target, size_summary(data, header, quality))
        return Done(len(data), size, header.width * header.height, report, tuple(notes), step_sizes(contents))

    def _steps(self, codec: Codec) -> int:
        """How many steps there will be. Beyond the model is wrong usage."""
        steps = codec.lossless_steps if self.budget["lossless"] else self.budget["steps"]
        if steps is None:
            return codec.total_steps
        if not 1 <= steps <= codec.lossless_steps:
            raise click.UsageError(f"--steps: this model takes 1 to {codec.total_steps}, or up to "
                                   f"{codec.lossless_steps} with residual steps, not {steps}.")
        return int(steps)

    def _compress(self, codec: Codec, file: Path | BinaryIO, on_step: Callable[[int], None]
                  ) -> tuple[bytes, float | None]:
        """The .cdr file, and its decibels if some were asked for."""
        from ...pictures.conversion import read_picture
        from ...pictures.metrics import psnr

        options = {**self.budget, **self.handling}
        if self.budget["psnr"] is None:
            return codec.compress(file, **options, on_step=on_step), None
        picture = read_picture(file, **{name: self.handling[name] for name in ("keep_orientation", "page", "strip")})
        data = codec.compress(picture, **options, on_step=on_step)
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
@click.option("--psnr", type=Amount(), help="As few bytes as give so many decibels.")
@click.option("--lossless", is_flag=True, default=None,
              help="Every pixel exactly; photographs still cut to any size later.")
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel.")
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF, XMP and resolution.")
@click.option("--keep-orientation", is_flag=True, help="Do not turn the picture as its EXIF orientation says.")
@click.option("--page", type=click.IntRange(1), help="The page of a TIFF file with several. Default: the main picture.")
@MAX_PIXELS
@MODEL
@THREADS
@JOBS
@chatter_options
def compress(files: Files, steps: int | None, size: int | None, bpp: float | None, psnr: float | None,
             lossless: bool | None, drop_alpha: bool, strip: bool, keep_orientation: bool, page: int | None,
             max_pixels: int,
             model: str | None, threads: int | None, jobs: int, chatter: Chatter) -> None:
    """Compress the pictures INPUT (- is standard input) to .cdr files.

    Several pictures, or those below a folder with --recursive, go to the folder OUTPUT, or beside their sources.
    """
    only_one(steps=steps, size=size, bpp=bpp, psnr=psnr, lossless=lossless)
    if files.many:
        threads = threads or threads_each(jobs)
    work = Compressing(model, threads, {"steps": steps, "size": size, "bpp": bpp, "psnr": psnr,
                                        "lossless": bool(lossless)},
                       {"drop_alpha": drop_alpha, "strip": strip, "keep_orientation": keep_orientation, "page": page},
                       max_pixels)
    if files.many:
        convert_many("Compressing", files, ".cdr", picture_suffixes(), work, jobs, chatter)
    else:
        convert_one(files, ".cdr", work, chatter)
