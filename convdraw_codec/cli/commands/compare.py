"""``cdraw compare``: how far pictures are from an original."""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ...atomic_write import STANDARD
from ...errors import ImageError
from ...format import constants
from ..console import Chatter, failing, name_of, print_out
from ..files import Place, read_input
from ..loading import load_codec
from ..options import INPUTS, JSON, MODEL, THREADS
from ..param_types import source as input_file

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


def measured(metric: Callable[[Image, Image], float], side: int, original: Image, other: Image) -> float | str:
    """The value of a metric that needs ``side`` pixels and a package, or why there is none."""
    if min(other.size) < side:
        return f"needs {side} pixels on each side"
    try:
        return metric(original, other)
    except ImportError:
        return "needs pip install 'cdraw[compare]'"


def compared(original: Image, other: Image, size: int) -> dict[str, float | str]:
    """Bytes, bits per pixel, and metrics or why there are none. Raises ImageError for pictures of different sizes."""
    from ...pictures.metrics import MS_SSIM_SIDE, SSIMULACRA_SIDE, ms_ssim, psnr, ssimulacra2

    if original.size != other.size:
        raise ImageError(f"it has {other.width}x{other.height} pixels, and the original {original.width}x"
                         f"{original.height}")
    if original.mode != other.mode:
        original, other = original.convert("RGB"), other.convert("RGB")
    return {"bytes": size, "bpp": 8 * size / (other.width * other.height), "psnr": psnr(original, other),
            "ms_ssim": measured(ms_ssim, MS_SSIM_SIDE, original, other),
            "ssimulacra2": measured(ssimulacra2, SSIMULACRA_SIDE, original, other)}


def in_words(values: dict[str, float | str]) -> str:
    """As in "1,200 bytes, 0.500 bpp, PSNR 35.00 dB, MS-SSIM 0.9900, SSIMULACRA 2 80.00"."""
    words = [f"{values['bytes']:,} bytes"]
    for key, form in (("bpp", "{:.3f} bpp"), ("psnr", "PSNR {:.2f} dB"), ("ms_ssim", "MS-SSIM {:.4f}"),
                      ("ssimulacra2", "SSIMULACRA 2 {:.2f}")):
        value = values[key]
        words.append(re.sub("{.*}", value, form) if isinstance(value, str) else form.format(value))
    return ", ".join(words)


def as_object(source: Place, values: dict[str, float | str]) -> str:
    """One JSON object; null where there is no number, as for the PSNR of equal pictures."""
    return json.dumps({"file": str(source)} | {
        key: None if isinstance(value, str) or math.isinf(value) else value for key, value in values.items()})


@click.command()
@click.argument("original", metavar="ORIGINAL", type=input_file)
@INPUTS
@JSON
@MODEL
@THREADS
def compare(original: Place, inputs: tuple[Place, ...], as_json: bool, model: str | None, threads: int | None) -> None:
    """Say how far each INPUT is from the picture ORIGINAL: bytes, bits per pixel, PSNR, MS-SSIM and SSIMULACRA 2.

    Each may be a .cdr file or any other picture. Colours are compared, alpha channels are not.
    """
    if (original, *inputs).count(STANDARD) > 1:
        raise click.UsageError("standard input is one file.")
    first, _ = load_any(original, model, threads)
    for source in inputs:
        other, size = load_any(source, model, threads)
        with failing("compare", source):
            values = compared(first, other, size)
        print_out(as_object(source, values) if as_json else f"{name_of(source)}: {in_words(values)}")
