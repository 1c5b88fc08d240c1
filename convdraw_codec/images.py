"""Pictures in and out: anything that Pillow opens, and numpy arrays, to RGB or grey and back."""

from __future__ import annotations

import struct
import warnings
import zlib
from os import PathLike
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .bitstream import LARGEST_SIDE
from .errors import ImageError

ImageLike: TypeAlias = "Image.Image | np.ndarray | str | PathLike[str]"

# What each Pillow mode becomes, and what is lost by it.
_GREY = {"L": "", "1": "", "LA": "the alpha channel", "La": "the alpha channel", "I": "depth beyond 8 bits",
         "F": "depth beyond 8 bits", "I;16": "depth beyond 8 bits", "I;16B": "depth beyond 8 bits",
         "I;16L": "depth beyond 8 bits", "I;16N": "depth beyond 8 bits"}
_COLOUR = {"RGB": "", "RGBX": "", "P": "", "RGBA": "the alpha channel", "RGBa": "the alpha channel",
           "PA": "the alpha channel", "CMYK": "the separation into CMYK", "YCbCr": "", "LAB": "", "HSV": ""}


def open_image(image: ImageLike) -> Image.Image:
    """A Pillow image of mode "RGB" or "L" from a Pillow image, an array or a path.

    Arrays are uint8, (H, W, 3) or (H, W). EXIF orientation is applied. A UserWarning says what a conversion
    loses. Raises ImageError for what is no picture, OSError for a path that cannot be read.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise ImageError(f"an array must be uint8 of shape (H, W, 3) or (H, W), not {image.dtype} {image.shape}")
        if not image.size:
            raise ImageError("a picture needs at least one pixel")
        return _checked(Image.fromarray(np.ascontiguousarray(image)))
    if isinstance(image, Image.Image):
        return _checked(_convert(image))
    return read_image(image)


def read_image(source: str | PathLike[str] | BinaryIO) -> Image.Image:
    """A Pillow image of mode "RGB" or "L" from a path or an open file; errors as ``open_image``."""
    try:
        with Image.open(source) as opened:
            return _checked(_convert(opened))
    except UnidentifiedImageError as error:
        raise ImageError("it is no picture that Pillow can read") from error
    except ImageError:
        raise
    except OSError as error:
        if error.errno is not None:  # the file could not be read; without a number, it is damaged
            raise
        raise ImageError(f"its picture is damaged ({error})") from error
    except (SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, struct.error, zlib.error,
            Image.DecompressionBombError) as error:  # what Pillow raises for damaged files
        raise ImageError(f"its picture is damaged ({error})") from error


def _convert(image: Image.Image) -> Image.Image:
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a JPEG that brings a preview
        raise ImageError("it is animated, and a .cdr file holds one picture")
    image = ImageOps.exif_transpose(image)
    if image.mode in _GREY:
        target, lost = "L", _GREY[image.mode]
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    elif image.mode in _COLOUR:
        target, lost = "RGB", _COLOUR[image.mode]
        if image.mode == "P" and "transparency" in image.info:
            lost = "the transparency"
    else:
        raise ImageError(f"pictures of Pillow mode {image.mode} are not supported")
    if lost:
        warnings.warn(f"{lost} is not kept", UserWarning, stacklevel=3)
    return image.convert(target)


def _checked(image: Image.Image) -> Image.Image:
    if not image.width or not image.height:
        raise ImageError("a picture needs at least one pixel")
    if max(image.size) > LARGEST_SIDE:
        raise ImageError(f"a picture may have at most {LARGEST_SIDE} pixels on a side")
    return image


def to_planes(image: Image.Image, multiple: int) -> np.ndarray:
    """RGB or grey -> (3, H, W) float32 in 0..255, padded by edge replication to a multiple on each side."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1)
    height, width = pixels.shape[1:]
    return np.pad(pixels, ((0, 0), (0, -height % multiple), (0, -width % multiple)), mode="edge")


def from_planes(planes: np.ndarray, width: int, height: int, mode: str) -> Image.Image:
    """(3, H, W) whole numbers in 0..255 -> a picture of that size; grey is the rounded mean of R, G and B."""
    pixels = planes[:, :height, :width].astype(np.uint8)
    if mode == "L":
        return Image.fromarray(((pixels.sum(0, dtype=np.uint16) + 1) // 3).astype(np.uint8))
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
