"""Pictures in: anything that Pillow opens, and numpy arrays, to colour or grey with what goes along."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base

from ..errors import CdrawError, CdrError, ImageError
from ..format.constants import LARGEST_SIDE, MAGIC
from ..format.source import Source, checked, content
from .levels import DEPTH, is_deep, to_levels, white_of
from .metadata import DAMAGE, beside, cicp_of, metadata_in, orientation_of, to_info, turned

ImageLike: TypeAlias = "Picture | Image.Image | np.ndarray | Source"

# What each Pillow mode becomes, without its alpha channel.
_GREY = ("L", "1", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("RGB", "RGBX", "P", "RGBA", "RGBa", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_ROUNDED = ("YCbCr", "LAB", "HSV", "La", "RGBa")  # as RGB or grey, not quite the same
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_PAGED = {"TIFF", "MPO", "DCX"}  # formats whose frames are pictures by themselves
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2  # kinds of a TIFF file's pages that are not main pictures
ALPHA = "ALPH"
_ALREADY = "it is a .cdr file already; cdraw truncate makes it smaller"


@dataclass(frozen=True)
class Picture:
    """What a .cdr file holds: pixels, a Pillow image of mode "RGB" or "L"; alpha, of mode "L", or None;
    metadata: the payloads of chunks by their names. lost: what pixels of the original had beyond that, in words."""

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
            self.alpha.save(encoded, "PNG", optimize=True)  # pixels alone: its ``info`` is empty
            chunks[ALPHA] = encoded.getvalue()
        return chunks


def assemble(pixels: Image.Image, mode: str, chunks: Mapping[str, bytes]) -> Image.Image:
    """One Pillow image of ``mode`` from decoded pixels and chunks; metadata goes to its ``info``. Raises CdrError."""
    image = pixels
    if mode.endswith("A"):
        image = Image.merge(mode, [*pixels.split(), _decode_alpha(chunks.get(ALPHA, b""), pixels.size)])
    image.info.update(to_info(chunks))
    return image


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


def open_picture(image: ImageLike, keep_orientation: bool = False, *, page: int | None = None, strip: bool = False
                 ) -> Picture:
    """A picture from a Pillow image, an array, a picture file (bytes, a path or an open file), or what is one already.

    Arrays are uint8, (H, W) or (H, W, C) with 1 to 4 channels: grey or colour, with alpha or without. The picture is
    turned as its EXIF or XMP says, which then is gone, unless ``keep_orientation``. page: of a file with several, from
    1 on; by default the main one. strip: without metadata. A UserWarning says what is not kept. Raises ImageError for
    what is no picture, OSError for a path that cannot be read, TypeError for anything else.
    """
    if isinstance(image, Picture):
        return image.without(metadata=strip)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and 1 <= image.shape[2] <= 4)):
            raise ImageError(f"an array must be uint8 of shape (H, W), or (H, W, C) with 1 to 4 channels, not "
                             f"{image.dtype} {image.shape}")
        if not image.size:
            raise ImageError("a picture needs at least one pixel")
        grey = image.ndim == 3 and image.shape[2] == 1
        image = Image.fromarray(np.ascontiguousarray(image[..., 0] if grey else image))
    if isinstance(image, Image.Image):
        return _convert(image, keep_orientation, page, strip)
    if isinstance(image, (bytes, bytearray, memoryview)):
        image = io.BytesIO(image)
    if not (isinstance(image, (str, PathLike)) or hasattr(image, "read")):
        raise TypeError("a picture is a Pillow image, a uint8 array or a file (bytes, a path or an open file), "
                        f"not {type(image).__name__}")
    return read_picture(image, keep_orientation, page=page, strip=strip)


def read_picture(source: str | PathLike[str] | IO[bytes], keep_orientation: bool = False, *, page: int | None = None,
                 strip: bool = False) -> Picture:
    """A picture from a path or an open file; the rest as ``open_picture``."""
    if not isinstance(source, (str, PathLike)):
        source = _seekable(source)
    try:
        with Image.open(source) as opened:
            if opened.format == "CDR":  # whose opener may be registered
                raise ImageError(_ALREADY)
            return _convert(opened, keep_orientation, page, strip)
    except UnidentifiedImageError as error:
        if _beginning(source) == MAGIC:
            raise ImageError(_ALREADY) from error
        raise ImageError("it is no picture that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ImageError("it has more pixels than Pillow takes; PIL.Image.MAX_IMAGE_PIXELS says how many") from error
    except CdrawError:
        raise
    except (OSError, *DAMAGE) as error:
        if getattr(error, "errno", None) is not None:  # the file could not be read; without a number, it is damaged
            raise
        raise ImageError(f"its picture is damaged ({error})") from error


def _seekable(file: IO[bytes]) -> IO[bytes]:
    """The file, or what a pipe holds: Pillow goes back and forth. Raises TypeError for text."""
    checked(file.read(0))
    return file if getattr(file, "seekable", bool)() else io.BytesIO(content(file))


def _beginning(source: str | PathLike[str] | IO[bytes]) -> bytes:
    if isinstance(source, (str, PathLike)):
        with open(source, "rb") as file:
            return file.read(len(MAGIC))
    source.seek(0)
    return source.read(len(MAGIC))


def _go_to_page(image: Image.Image, page: int | None) -> None:
    """Make the page the image's frame: the main one of a TIFF file by default, which has thumbnails or overviews
    beside it, and may not have others. Raises ImageError."""
    count = 1 if image.format == "PSD" else getattr(image, "n_frames", 1)  # PSD: all its layers together
    if count > 1 and image.format not in _PAGED:
        raise ImageError("it is animated, and a .cdr file holds one picture")
    if page is None and image.format == "TIFF" and count > 1 and image.tell() == 0:
        main = [frame for frame in range(count) if _is_main(image, frame)] or [0]
        if len(main) > 1:
            raise ImageError(f"it has {len(main)} pages, and a .cdr file holds one picture: --page chooses (in Python, "
                             f"page=)")
        page = main[0] + 1
    if page is not None:
        if not 1 <= page <= count:
            raise ImageError(f"it has no page {page}: there {'is 1' if count == 1 else f'are {count}'}")
        if count > 1:
            image.seek(page - 1)


def _is_main(image: Image.Image, frame: int) -> bool:
    image.seek(frame)
    tags: Any = getattr(image, "tag_v2", {})
    return not tags.get(Base.NewSubfileType, 0) & (_REDUCED | _MASK) and tags.get(Base.SubfileType) != _OLD_REDUCED


def _convert(image: Image.Image, keep_orientation: bool, page: int | None, strip: bool) -> Picture:
    _go_to_page(image, page)
    if image.mode not in _GREY + _COLOUR:
        raise ImageError(f"pictures of Pillow mode {image.mode} are not supported")
    if not min(image.size):
        raise ImageError("a picture needs at least one pixel")
    if max(image.size) > LARGEST_SIDE:
        raise ImageError(f"a picture may have at most {LARGEST_SIDE} pixels on a side")
    lost, white, cicp = _before_loading(image)
    image.load()
    metadata = metadata_in(image)
    not_kept = [] if strip else beside(image, metadata, cicp)
    if image.mode in ("CMYK", "LAB") and "ICCP" in metadata:
        del metadata["ICCP"]  # it speaks of other channels
        not_kept += [] if strip else ["its ICC profile"]
    if not keep_orientation:
        if not orientation_of(metadata):
            warnings.warn("its EXIF is damaged, so it is not turned", UserWarning, stacklevel=3)
        image, metadata = turned(image, metadata)
    grey, alpha, unsaid = image.mode in _GREY, None, image.mode in _ROUNDED
    if image.mode == "F" or image.mode.startswith("I"):
        image, lost = to_levels(image, white)
    if lost and not unsaid:
        not_kept.insert(0, lost)
    image = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        alpha = image.getchannel("A")
        alpha.info = {}
    if not_kept:
        warnings.warn(f"not kept: {', '.join(not_kept)}", UserWarning, stacklevel=3)
    return Picture(image.convert("L" if grey else "RGB"), alpha, {} if strip else metadata, lost)


def _before_loading(image: Image.Image) -> tuple[str, int, tuple[int, ...]]:
    """What Pillow forgets as it loads pixels: what of them cannot be kept, in words; the number that is white; and the
    cICP chunk. The file of an image that is loaded already is looked at once more, if it is still there."""
    path = getattr(image, "filename", "")
    if path and not getattr(image, "tile", ()):
        with contextlib.suppress(OSError, *DAMAGE), Image.open(path) as again:
            return _lost_pixels(again), white_of(again), cicp_of(again)
    return _lost_pixels(image), white_of(image), cicp_of(image)


def _lost_pixels(image: Image.Image) -> str:
    if is_deep(image) or image.mode == "F" or image.mode.startswith("I"):
        return DEPTH
    if image.mode == "CMYK":
        return "the separation into CMYK"
    return f"the exact {image.mode}" if image.mode in _ROUNDED else ""


def upright(image: Image.Image) -> Image.Image:
    """Turned as its metadata says, in RGB or grey."""
    return turned(image, metadata_in(image))[0].convert("L" if image.mode[0] == "L" else "RGB")


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
