"""Samples of more than 8 bits, and real ones, as levels from 0 to 255."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from ..errors import ImageError

DEPTH = "depth beyond 8 bits"
# Raw modes of 16 bits that Pillow cuts to 8 as it loads them.
_DEEP = re.compile(r"(RGB|LA)\w*;16")


def _bits(image: Image.Image) -> int:
    """Bits a sample of a TIFF file; 0 of any other."""
    return max(getattr(image, "tag_v2", {}).get(Base.BitsPerSample, (0,)))


def is_deep(image: Image.Image) -> bool:
    """Whether a file that Pillow has opened, and not loaded, has more than 8 bits a channel, of which it drops some."""
    return _bits(image) > 8 or any(
        _DEEP.search(str(mode)) or (codec.startswith("ppm") and isinstance(mode, tuple) and mode[1] > 255)
        for codec, _, _, mode in getattr(image, "tile", ()))


def white_of(image: Image.Image) -> int:
    """The number that stands for white in a file that Pillow has opened; 0 if its values must tell."""
    if image.mode.startswith("I;"):
        return 2 ** (_bits(image) or 16) - 1
    return 2**16 - 1 if (image.mode, image.format) == ("I", "PPM") else 0


def to_levels(image: Image.Image, white: int) -> tuple[Image.Image, str]:
    """Grey levels of an image of mode I, I;16 or F, with alpha where a value is said to be transparent; and what is
    lost, in words.

    Without ``white``, real values up to 1 go from black to white, others up to 255 are levels already, and whole ones
    beyond, up to 65535, levels of 16 bits. Raises ImageError for other values.
    """
    values, lost = np.asarray(image), DEPTH
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= (255 if image.mode == "F" else 2**16 - 1)):
        raise ImageError(f"its values, in Pillow mode {image.mode}, are no levels: they go from "
                         f"{low:g} to {high:g}; scale them to 0 to 255")
    if image.mode != "F":
        white = white or (255 if high <= 255 else 2**16 - 1)
        levels = np.minimum(values.astype(np.uint32) * 255 // white, 255)
    elif high <= 1:
        levels, lost = np.rint(values * 255), f"{DEPTH} (0 to 1 became 0 to 255)"
    else:
        levels = values
    grey = Image.fromarray(levels.astype(np.uint8))
    transparent = image.info.get("transparency")  # the value that a PNG file may name
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey, lost
