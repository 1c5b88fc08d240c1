"""``cdraw decompress``: .cdr files to pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ...atomic_write import STANDARD
from ...errors import TruncatedError, counted
from ...format import bitstream
from ...options import FILLS, LOSSY, REDUCTIONS
from ..console import Chatter, failing, name_of
from ..conversions import Files, convert
from ..files import Place, read_input, save, standard_input
from ..options import DROP_ALPHA, chatter_options, codec_options, file_options
from ..param_types import colour
from ..picture_output import encode, format_of
from ..reports import Done, made, size_summary

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...codec import Codec


@dataclass(frozen=True)
class Decompressing:
    """The options that matter to each file."""

    load: Callable[[], Codec]
    options: dict[str, Any]  # of Codec.decompress
    quality: int | None
    background: str | None
    drop_alpha: bool

    def __call__(self, source: Place, target: Place, chatter: Chatter) -> Done:
        """Decompress one file."""
        with failing("read", source):
            data = read_input(source, chatter)
        header, notes = self._check(data, source)
        codec = self.load()
        with failing("decode", source), chatter.progress("Decompressing", header.segments) as on_step:
            picture = codec.decompress(data, **self.options, on_step=on_step)
        picture = self._shown(picture)
        encoded, lost = encode(picture, target, self.quality)
        save(target, encoded)
        return Done(len(data), len(encoded), header.width * header.height,
                    made(source, size_summary(data, header), target,
                         f"{picture.width}x{picture.height} {picture.mode}, {counted(len(encoded), 'byte')}"),
                    (*notes, *lost), f"{name_of(source)}: model {header.model}")

    def _check(self, data: bytes, source: Place) -> tuple[bitstream.Header, tuple[str, ...]]:
        """What will be decoded, before a model is loaded; and what is missing."""
        with failing("decode", source):
            try:
                return bitstream.read(data, steps=self.options["steps"]).header, ()
            except TruncatedError as error:
                if not self.options["allow_truncated"]:
                    raise advised(error) from error
                header = bitstream.read(data, allow_truncated=True, steps=self.options["steps"]).header
                whole = f"its {counted(header.steps, 'whole step')}" if header.steps else "what there is of step 1"
                return header, (f"{error}; decoding {whole}",)

    def _shown(self, picture: Image) -> Image:
        """With its alpha channel, or as the options say."""
        from ...pictures.saving import without_alpha

        return without_alpha(picture, self.background) if self.drop_alpha or self.background else picture

    @property
    def _filling(self) -> dict[str, Any]:
        return {name: self.options[name] for name in ("fill", "seed", "detail")}

    def follow(self, source: Place, target: Place, chatter: Chatter) -> None:
        """Write the picture anew for each step, as it arrives."""
        codec = self.load()
        with failing("decode", source), contextlib.ExitStack() as stack:
            file = standard_input(chatter) if source == STANDARD else stack.enter_context(open(source, "rb"))
            step, lost = 0, tuple[str, ...]()
            try:
                for step, picture in enumerate(codec.progressive(file, **self._filling), 1):
                    encoded, lost = encode(self._shown(picture), target, self.quality)
                    save(target, encoded)
                    chatter.say(f"{target}: step {step}")
            except TruncatedError as error:
                if not (self.options["allow_truncated"] and step):
                    raise advised(error) from error
                chatter.say(f"{name_of(source)}: {error}; {target} shows what came before")
            for note in lost:
                chatter.say(f"{name_of(source)}: {note}")


def advised(error: TruncatedError) -> TruncatedError:
    """The same, with what can be done about it."""
    if not error.steps:
        return error
    whole = counted(error.steps, "whole step")
    return TruncatedError(f"{error}; --allow-truncated decodes the {whole} before", error.steps)


@click.command()
@file_options
@click.option("--steps", type=int, help="Use only the first so many steps.")
@click.option("--fill", type=click.Choice(FILLS), default=FILLS[0],
              show_default=True, help="What stands in for what is not stored: the likeliest picture, a plausible one "
              "with texture, a sample of the prior, which shows noise, or nothing.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True,
              help="Of texture or sample: another seed, another picture.")
@click.option("--detail", type=click.FloatRange(0, 1), default=1.0, show_default=True,
              help="How much of the texture a plausible picture has.")
@click.option("--reduce", type=click.Choice(REDUCTIONS), default=1, show_default=True,
              help="Divide width and height, and take less time.")
@click.option("--allow-truncated", is_flag=True, help="Decode the whole steps of a file that ends early.")
@click.option("--quality", type=click.IntRange(1, 100), help="Of .jpg, .webp and .avif. Default: 95.")
@click.option("--background", type=colour, help="Lay a picture with alpha over a colour: white, #ffcc00.")
@DROP_ALPHA
@click.option("--follow", is_flag=True, help="Write a better OUTPUT for each step, as INPUT arrives.")
@codec_options
@chatter_options
def decompress(files: Files, load: Callable[[], Codec], jobs: int, quality: int | None, background: str | None,
               drop_alpha: bool, follow: bool, chatter: Chatter, **options: Any) -> None:
    """Decompress the .cdr files INPUT (- is standard input) to pictures.

    The suffix of OUTPUT chooses the format; standard output gets PNG. Several files, or those below a folder with
    --recursive, go to the folder OUTPUT, or beside their sources, as PNG.
    """
    if background and drop_alpha:
        raise click.UsageError("--background and --drop-alpha exclude each other.")
    if files.many and (follow or quality):
        raise click.UsageError("--follow and --quality take one file.")
    work = Decompressing(load, options, quality, background, drop_alpha)
    if not files.many and format_of(files.target(".png")) not in LOSSY and quality:
        raise click.UsageError("--quality is for .jpg, .webp and .avif.")
    if not follow:
        convert("Decompressing", files, ".png", work, chatter, jobs)
        return
    target, plain = files.target(".png"), {"steps": None, "reduce": 1}
    if target == STANDARD or plain.items() - options.items() or options["fill"] == "prior":
        raise click.UsageError("--follow needs a file as OUTPUT, and goes without --steps, --reduce and --fill prior.")
    work.follow(files.inputs[0], target, chatter)
