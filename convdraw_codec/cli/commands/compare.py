"""``cdraw compare``: how far pictures are from an original."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import click

from ...atomic_write import STANDARD
from ...errors import ImageError
from ...format import constants
from ..console import Chatter, failing, name_of, print_out
from ..files import Place, read_input
from ..loading import load_codec
from ..options import INPUTS, MODEL, THREADS
from ..param_types import Source

if TYPE_CHECKING:
    from PIL.Image import Image


def load_any(source: Place, model: str | None, threads: int | None) -> tuple[Image, int]:
    """The picture in a .cdr file or in any other, upright, in RGB or grey; and the bytes of the file."""
    from ...pictures.conversion import read_picture, upright

    with failing("read", source):
        content = read_input(source, Chatter(0, False))
    with failing("decode", source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is lost: it is lost on both sides
        if content.startswith(constants.MAGIC):
            return upright(load_codec(model, threads).decompress(content)), len(content)
        return read_picture(io.BytesIO(content)).pixels, len(content)


def compared(original: Image, other: Image, size: int) -> str:
    """Bytes, bits per pixel, PSNR and MS-SSIM. Raises ImageError for pictures of different sizes."""
    from ...pictures.metrics import MS_SSIM_SIDE, ms_ssim, psnr

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


@click.command()
@click.argument("original", metavar="ORIGINAL", type=Source())
@INPUTS
@MODEL
@THREADS
def compare(original: Place, inputs: tuple[Place, ...], model: str | None, threads: int | None) -> None:
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
