"""What the command line does to one file, alone or among many: read it, convert it, write the result."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ..atomic_write import STANDARD, write_output
from ..errors import ImageError, TruncatedError
from ..format import bitstream, constants
from . import many_files
from .console import Chatter, Failure, failing, name_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..codec import Codec


def read_input(source: str) -> bytes:
    """All of a file, or of standard input for "-"."""
    return standard_input().read() if source == STANDARD else Path(source).read_bytes()


def standard_input() -> BinaryIO:
    """Its bytes. Raises OSError where it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.buffer


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

    from ..codec import Codec

    if threads:
        torch.set_num_threads(threads)
    with failing("load the model", model or "that comes with cdraw"):
        return Codec(model)


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


@dataclass(frozen=True)
class Done:
    """What became of one of many files: bytes of the .cdr file and of the other one, and pixels of the .cdr file; or
    why not. notes: what to mention."""

    coded: int = 0
    picture: int = 0
    pixels: int = 0
    notes: tuple[str, ...] = ()
    failure: str = ""


def settled(work: Callable[[Any, many_files.Task], Done]) -> Callable[[Any, many_files.Task], Done]:
    """What the work on one of many files returns, or its failure as a sentence, so that other files go on."""

    @wraps(work)
    def settle(self: Any, task: many_files.Task) -> Done:
        try:
            return work(self, task)
        except Failure as failure:
            return Done(failure=failure.message)

    return settle


@dataclass(frozen=True)
class Compressing:
    """The options of ``compress`` that matter to each file."""

    model: str | None
    threads: int | None
    force: bool
    budget: dict[str, Any]
    handling: dict[str, bool]

    def convert(self, source: str, on_step: Callable[[int], None] | None) -> tuple[bytes, int, list[str]]:
        """The .cdr file of a picture, the bytes of that picture's file, and what was lost on the way."""
        from ..pictures.conversion import read_picture

        codec = load_codec(self.model, self.threads)
        if (self.budget.get("steps") or 1) > codec.lossless_steps:
            raise click.UsageError(f"--steps: this model has {codec.total_steps} steps, and "
                                   f"{codec.lossless_steps - codec.total_steps} residual ones.")
        with failing("read", source):
            if os.path.isfile(source):
                with open(source, "rb"):
                    size, content = os.path.getsize(source), None  # read later: it may be large
            else:
                content = read_input(source)
                size = len(content)
        with failing("compress", source), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            as_it_is = self.handling["keep_orientation"]
            picture = source if content is None else read_picture(io.BytesIO(content), as_it_is)
            data = codec.compress(picture, **self.budget, **self.handling, on_step=on_step)
        return data, size, [str(warning.message) for warning in caught]

    @settled
    def __call__(self, task: many_files.Task) -> Done:
        """Compress one of many."""
        source, output = str(task.source), choose_output(str(task.source), str(task.target), ".cdr", self.force)
        data, size, notes = self.convert(source, None)
        save(output, data)
        header = bitstream.parse_header(data)
        return Done(len(data), size, header.width * header.height, tuple(notes))


@dataclass(frozen=True)
class Decompressing:
    """The options of ``decompress`` that matter to each file."""

    model: str | None
    threads: int | None
    force: bool
    steps: int | None
    fill: Any
    seed: int
    reduce: int
    allow_truncated: bool

    def check(self, data: bytes, source: str) -> tuple[bitstream.Header, list[str]]:
        """What will be decoded, before a model is loaded; and what is missing."""
        with failing("decode", source):
            try:
                return bitstream.read(data, steps=self.steps).header, []
            except TruncatedError as error:
                if not self.allow_truncated:
                    raise advised(error) from error
                header = bitstream.read(data, allow_truncated=True, steps=self.steps).header
                whole = f"its {header.steps} whole steps" if header.steps else "what there is of step 1"
                return header, [f"{error}; decoding {whole}"]

    def convert(self, data: bytes, source: str, output: str, on_step: Callable[[int], None] | None) -> bytes:
        """The picture of a .cdr file, in the format that the output's suffix names."""
        with failing("decode", source):
            picture = load_codec(self.model, self.threads).decompress(
                data, self.steps, self.fill, self.seed, reduce=self.reduce, allow_truncated=self.allow_truncated,
                on_step=on_step)
        return encode(picture, output)

    def follow(self, source: str, output: str, chatter: Chatter) -> None:
        """Write the picture anew for each step, as it arrives."""
        codec = load_codec(self.model, self.threads)
        with failing("decode", source), contextlib.ExitStack() as stack:
            file = standard_input() if source == STANDARD else stack.enter_context(open(source, "rb"))
            step = 0
            try:
                for step, picture in enumerate(codec.progressive(file), 1):
                    save(output, encode(picture, output))
                    chatter.say(f"{output}: step {step}")
            except TruncatedError as error:
                if not (self.allow_truncated and step):
                    raise advised(error) from error
                chatter.say(f"{name_of(source)}: {error}; {output} shows what came before")

    @settled
    def __call__(self, task: many_files.Task) -> Done:
        """Decompress one of many."""
        source, output = str(task.source), choose_output(str(task.source), str(task.target), ".png", self.force)
        with failing("read", source):
            data = read_input(source)
        header, notes = self.check(data, source)
        picture = self.convert(data, source, output, None)
        save(output, picture)
        return Done(len(data), len(picture), header.width * header.height, tuple(notes))


def advised(error: TruncatedError) -> TruncatedError:
    """The same, with what can be done about it."""
    if not error.steps:
        return error
    return TruncatedError(f"{error}; --allow-truncated decodes the {error.steps} whole steps before", error.steps)


def upright(image: Image) -> Image:
    """Turned as its EXIF orientation says, in RGB or grey."""
    from ..pictures.conversion import turned

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what was said when it was compressed
        image = turned(image)
    return image.convert("L" if image.mode[0] == "L" else "RGB")


def load_any(source: str, model: str | None, threads: int | None) -> tuple[Image, int]:
    """The picture in a .cdr file or in any other, upright, in RGB or grey; and the bytes of the file."""
    from ..pictures.conversion import read_picture

    with failing("read", source):
        content = read_input(source)
    with failing("decode", source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is lost: it is lost on both sides
        if content.startswith(constants.MAGIC):
            return upright(load_codec(model, threads).decompress(content)), len(content)
        return read_picture(io.BytesIO(content)).pixels, len(content)


def original_and_file(content: bytes, source: str, codec: Codec) -> tuple[Image, bytes]:
    """A picture as it is compressed, without its alpha channel, and its .cdr file."""
    from ..pictures.conversion import read_picture

    with failing("compress", source), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        picture = read_picture(io.BytesIO(content))
        return picture.pixels, codec.compress(picture)


def rate_and_quality(size: int, picture: Image, original: Image | None) -> str:
    """Bits per pixel of a file of ``size`` bytes, and PSNR of its picture if the original is known."""
    from ..pictures.metrics import psnr

    rate = f"{8 * size / (picture.width * picture.height):.3f} bpp"
    return f"{rate}, {psnr(original, picture.convert(original.mode)):.2f} dB" if original else rate


def compared(original: Image, other: Image, size: int) -> str:
    """Bytes, bits per pixel, PSNR and MS-SSIM. Raises ImageError for pictures of different sizes."""
    from ..pictures.metrics import MS_SSIM_SIDE, ms_ssim, psnr

    if original.size != other.size:
        raise ImageError(f"it has {other.width}x{other.height} pixels, and the original {original.width}x"
                         f"{original.height}")
    if original.mode != other.mode:
        original, other = original.convert("RGB"), other.convert("RGB")
    if min(other.size) < MS_SSIM_SIDE:
        similarity = f"needs {MS_SSIM_SIDE} pixels on each side"
    else:
        try:
            similarity = f"{ms_ssim(original, other):.4f}"
        except ImportError:
            similarity = "needs pip install 'cdraw[compare]'"
    return (f"{size:,} bytes, {8 * size / (other.width * other.height):.3f} bpp, "
            f"PSNR {psnr(original, other):.2f} dB, MS-SSIM {similarity}")


def encode(picture: Image, output: str) -> bytes:
    """The picture in the format that the output's suffix names, with its metadata."""
    from PIL.PngImagePlugin import PngInfo

    from ..pictures.conversion import DAMAGE, METADATA

    encoded, picture_format = io.BytesIO(), format_of(output)
    metadata: dict[str, Any] = {key: picture.info[key] for key in METADATA.values() if key in picture.info}
    if picture_format == "PNG" and "xmp" in metadata:  # which Pillow takes as text alone
        metadata["pnginfo"] = PngInfo()
        metadata["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata.pop("xmp").decode(errors="replace"))
    try:
        picture.save(encoded, picture_format, **metadata)
        lost = lost_in(encoded, picture)
    except (OSError, *DAMAGE) as error:  # too large for the format, say, or with EXIF that makes no sense
        raise Failure(f"cannot write {output} as {picture_format}: {error}") from error
    if lost:
        raise Failure(f"cannot write {output} as {picture_format}: {lost}; .png holds all of it")
    return encoded.getvalue()


def lost_in(encoded: io.BytesIO, picture: Image) -> str:
    """What of a picture its encoded form cannot hold, in words. Raises what Pillow does."""
    import PIL.Image

    try:
        with PIL.Image.open(encoded) as back:
            if sorted(back.size) != sorted(picture.size):  # TIFF files are turned as they are opened
                return f"it would have {back.width}x{back.height} pixels"
            opaque = not picture.mode.endswith("A") or picture.getchannel("A").getextrema()[0] == 255
            if not opaque and not back.has_transparency_data:
                return "it would lose its alpha channel"
    except PIL.UnidentifiedImageError:  # a PDF, say, which Pillow only writes
        pass
    return ""
