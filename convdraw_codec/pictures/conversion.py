"""Pictures in and out: anything that Pillow opens, and numpy arrays, to colour or grey with what goes along."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import IO, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE

from ..errors import CdrError, ImageError
from ..format.constants import LARGEST_SIDE, MAGIC
from ..format.source import Source

ImageLike: TypeAlias = "Picture | Image.Image | np.ndarray | Source"

# What each Pillow mode becomes, without its alpha channel.
_GREY = ("L", "1", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("RGB", "RGBX", "P", "RGBA", "RGBa", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_ROUNDED = ("YCbCr", "LAB", "HSV", "La", "RGBa")  # as RGB or grey, not quite the same
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
# What Pillow raises for damaged files; its AVIF decoder, RuntimeError.
DAMAGE = (SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, RuntimeError, struct.error,
          zlib.error)
# Raw modes of 16 bits that Pillow cuts to 8 as it loads them.
_DEEP = re.compile(r"(RGB|LA)\w*;16")
# Chunks, and where Pillow keeps what they hold.
METADATA = {"ICCP": "icc_profile", "EXIF": "exif", "XMP ": "xmp"}
ALPHA = "ALPH"
_ALREADY = "it is a .cdr file already; cdraw truncate makes it smaller"


@dataclass(frozen=True)
class Picture:
    """What a .cdr file holds: pixels, a Pillow image of mode "RGB" or "L"; alpha, of mode "L", or None;
    metadata: ICC profile, EXIF and XMP as bytes, by the names of their chunks. lost: what the original had beyond that,
    in words."""

    pixels: Image.Image
    alpha: Image.Image | None = None
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    lost: str = ""

    @property
    def mode(self) -> str:
        """The mode in which Pillow holds all of it."""
        return self.pixels.mode + ("A" if self.alpha else "")

    def without(self, *, alpha: bool = False, metadata: bool = False) -> Picture:
        """The same picture without its alpha channel, or without its metadata."""
        return replace(self, alpha=None if alpha else self.alpha, metadata={} if metadata else self.metadata)

    def chunks(self) -> dict[str, bytes]:
        """What is stored beside the pixels."""
        chunks = dict(self.metadata)
        if self.alpha:
            encoded = io.BytesIO()
            self.alpha.save(encoded, "PNG", optimize=True)
            chunks[ALPHA] = encoded.getvalue()
        return chunks


def assemble(pixels: Image.Image, mode: str, chunks: Mapping[str, bytes]) -> Image.Image:
    """One Pillow image of ``mode`` from decoded pixels and chunks; metadata goes to its ``info``. Raises CdrError."""
    image = pixels
    if mode.endswith("A"):
        image = Image.merge(mode, [*pixels.split(), _decode_alpha(chunks.get(ALPHA, b""), pixels.size)])
    image.info.update(metadata_of(chunks))
    return image


def metadata_of(chunks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Entries for the ``info`` of a Pillow image."""
    return {key: chunks[name] for name, key in METADATA.items() if name in chunks}


def _decode_alpha(data: bytes, size: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as alpha:
            if alpha.size != size or alpha.mode != "L":
                raise CdrError("its alpha channel does not fit the picture")
            alpha.load()
            return alpha.copy()
    except CdrError:
        raise
    except Exception as error:  # whatever Pillow raises for a damaged file
        raise CdrError(f"its alpha channel is damaged ({error})") from error


def open_picture(image: ImageLike, keep_orientation: bool = False) -> Picture:
    """A picture from a Pillow image, an array, a picture file (bytes, a path or an open file), or what is one already.

    Arrays are uint8, (H, W, 3) or (H, W). The picture is turned as its EXIF orientation says, which then is gone,
    unless ``keep_orientation``. A UserWarning says what a conversion loses. Raises ImageError for what is no picture,
    OSError for a path that cannot be read, TypeError for anything else.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise ImageError(f"an array must be uint8 of shape (H, W, 3) or (H, W), not {image.dtype} {image.shape}")
        if not image.size:
            raise ImageError("a picture needs at least one pixel")
        return _checked(Picture(Image.fromarray(np.ascontiguousarray(image))))
    if isinstance(image, Image.Image):
        return _checked(_convert(image, keep_orientation))
    if isinstance(image, (bytes, bytearray, memoryview)):
        image = io.BytesIO(image)
    if not (isinstance(image, (str, PathLike)) or hasattr(image, "read")):
        raise TypeError("a picture is a Pillow image, a uint8 array or a file (bytes, a path or an open file), "
                        f"not {type(image).__name__}")
    return read_picture(image, keep_orientation)


def read_picture(source: str | PathLike[str] | IO[bytes], keep_orientation: bool = False) -> Picture:
    """A picture from a path or an open file; the rest as ``open_picture``."""
    try:
        with Image.open(source) as opened:
            if opened.format == "CDR":  # whose opener may be registered
                raise ImageError(_ALREADY)
            return _checked(_convert(opened, keep_orientation))
    except UnidentifiedImageError as error:
        if _beginning(source) == MAGIC:
            raise ImageError(_ALREADY) from error
        raise ImageError("it is no picture that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ImageError("it has more pixels than Pillow takes; PIL.Image.MAX_IMAGE_PIXELS says how many") from error
    except (CdrError, ImageError):
        raise
    except OSError as error:
        if error.errno is not None:  # the file could not be read; without a number, it is damaged
            raise
        raise ImageError(f"its picture is damaged ({error})") from error
    except DAMAGE as error:
        raise ImageError(f"its picture is damaged ({error})") from error


def _beginning(source: str | PathLike[str] | IO[bytes]) -> bytes:
    if isinstance(source, (str, PathLike)):
        with open(source, "rb") as file:
            return file.read(len(MAGIC))
    source.seek(0)
    return source.read(len(MAGIC))


def _is_deep(image: Image.Image) -> bool:
    """Whether a file that Pillow has opened, and not loaded, has more than 8 bits a channel, of which it drops some."""
    if any(bits > 8 for bits in getattr(image, "tag_v2", {}).get(BITSPERSAMPLE, ())):  # of TIFF
        return True
    for tile in getattr(image, "tile", ()):
        ppm = tile[0].startswith("ppm") and isinstance(tile[3], tuple)
        if _DEEP.search(str(tile[3])) or (ppm and tile[3][1] > 255):
            return True
    return False


def _convert(image: Image.Image, keep_orientation: bool) -> Picture:
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a JPEG that brings a preview
        raise ImageError("it is animated, and a .cdr file holds one picture")
    if image.mode not in _GREY + _COLOUR:
        raise ImageError(f"pictures of Pillow mode {image.mode} are not supported")
    deep, sixteen_bits = _is_deep(image), image.mode.startswith("I;") or (image.mode, image.format) == ("I", "PPM")
    if not keep_orientation:
        image = turned(image)
    metadata = {name: _as_bytes(image.info[key]) for name, key in METADATA.items() if image.info.get(key)}
    grey, lost, was = image.mode in _GREY, "", image.mode
    if deep or image.mode.startswith("I") or image.mode == "F":
        lost = "depth beyond 8 bits"
    elif image.mode == "CMYK":
        lost = "the separation into CMYK"
    elif image.mode in _ROUNDED:
        lost = f"the exact {image.mode}"
    if image.mode in ("CMYK", "LAB"):
        metadata.pop("ICCP", None)  # it speaks of other channels
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_levels(image, sixteen_bits=sixteen_bits)
    image = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        alpha = image.getchannel("A")
    if lost and was not in _ROUNDED:
        warnings.warn(f"{lost} is not kept", UserWarning, stacklevel=3)
    return Picture(image.convert("L" if grey else "RGB"), alpha, metadata, lost)


def _to_levels(image: Image.Image, *, sixteen_bits: bool) -> Image.Image:
    """Of large numbers: 0 to 255 are levels, and whole ones beyond, up to 65535, levels of 16 bits."""
    values = np.asarray(image)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if not (low >= 0 and high <= (255 if image.mode == "F" else 65535)):
        raise ImageError(f"its values, in Pillow mode {image.mode}, are no levels: they go from {low:g} to {high:g}")
    levels = Image.fromarray((values // 257 if sixteen_bits or high > 255 else values).astype(np.uint8))
    transparent = image.info.get("transparency")  # the value that a PNG file may name
    if transparent is not None:
        levels.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return levels


def turned(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; as it is, with a warning, where its EXIF cannot be read."""
    image.load()  # damage of its pixels is another matter
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:
        warnings.warn("its EXIF is damaged, so it is not turned", UserWarning, stacklevel=3)
        return image


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says, in RGB or grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what was said when it was compressed
        image = turned(image)
    return image.convert("L" if image.mode[0] == "L" else "RGB")


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _checked(picture: Picture) -> Picture:
    if not picture.pixels.width or not picture.pixels.height:
        raise ImageError("a picture needs at least one pixel")
    if max(picture.pixels.size) > LARGEST_SIDE:
        raise ImageError(f"a picture may have at most {LARGEST_SIDE} pixels on a side")
    return picture


def to_planes(image: Image.Image, multiple: int) -> np.ndarray:
    """RGB or grey -> (3, H, W) uint8, padded by edge replication to a multiple on each side."""
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB")).transpose(2, 0, 1)
    height, width = pixels.shape[1:]
    return np.pad(pixels, ((0, 0), (0, -height % multiple), (0, -width % multiple)), mode="edge")


def from_planes(planes: np.ndarray, width: int, height: int, grey: bool) -> Image.Image:
    """(3, H, W) uint8 -> a picture of that size; grey is the rounded mean of R, G and B."""
    pixels = planes[:, :height, :width]
    if grey:
        return Image.fromarray(((pixels.sum(0, dtype=np.uint16) + 1) // 3).astype(np.uint8))
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
