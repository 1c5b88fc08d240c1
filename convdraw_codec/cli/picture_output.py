"""Pictures as files of the formats that Pillow writes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import Failure
from .files import Place, is_special

if TYPE_CHECKING:
    from PIL.Image import Image


def picture_suffixes() -> set[str]:
    """Of the formats that Pillow opens."""
    import PIL.Image

    PIL.Image.init()
    opened = {*PIL.Image.OPEN, "MPO"} - {"CDR"}  # MPO files are opened as JPEG; the opener of .cdr may be registered
    return {suffix for suffix, name in PIL.Image.registered_extensions().items() if name in opened}


def format_of(output: Place) -> str:
    """The Pillow format that the suffix of the output names."""
    if is_special(output):
        return "PNG"
    import PIL.Image

    PIL.Image.init()
    suffix = Path(output).suffix.lower()
    name = PIL.Image.registered_extensions().get(suffix)
    if name is None or name not in PIL.Image.SAVE:
        raise click.UsageError(f"--output: no picture format is known by the suffix {suffix!r}; use .png.")
    return name


def encode(picture: Image, output: Place) -> bytes:
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
