"""Pictures out: encoded in a format that Pillow writes, with what that format loses."""

from __future__ import annotations

import io
from collections.abc import Mapping

import PIL.Image
from PIL import ImageColor
from PIL.Image import Image

from ..errors import ImageError
from ..options import LOSSY
from .metadata import DAMAGE, WORDS, metadata_in, save_options, turned
from .metrics import psnr

QUALITY = 95  # of lossy formats, 1 to 100
NO_ALPHA = ("it would lose its alpha channel; .png holds all of it, --background puts it on a colour, and --drop-alpha "
            "leaves it out")
_SAY_ORIENTATION = {"JPEG", "MPO", "PNG", "TIFF", "WEBP"}


def encode(picture: Image, format: str, quality: int = QUALITY) -> tuple[bytes, str]:
    """The file of a picture in a format of Pillow's, with its metadata; and what is lost, in words, "" for nothing.

    quality: of lossy formats, 1 to 100. What the format cannot say how to turn is turned. Raises ImageError for a
    picture that the format cannot hold.
    """
    metadata = metadata_in(picture)
    if format not in _SAY_ORIENTATION:
        picture, metadata = turned(picture, metadata)
    try:
        data = _save(picture, format, metadata, quality)
    except ImageError:  # EXIF that is too long for JPEG, say
        picture, metadata = turned(picture, metadata)
        data = _save(picture, format, {}, quality)
    try:
        with PIL.Image.open(io.BytesIO(data)) as back:
            back.load()
            return data, _lost(picture, metadata, back)
    except PIL.UnidentifiedImageError:  # a PDF, say, which Pillow only writes
        return data, f"what {format} loses is not known"


def _save(picture: Image, format: str, metadata: Mapping[str, bytes], quality: int) -> bytes:
    encoded = io.BytesIO()
    options = {"quality": quality, "subsampling": "4:4:4"} if format in LOSSY else {}
    try:
        picture.save(encoded, format, **options, **save_options(metadata, format))
    except (OSError, *DAMAGE) as error:  # too large for the format, say
        of_mode = picture.mode.endswith("A") and any(word in f"{error}" for word in ("mode", picture.mode))
        raise ImageError(NO_ALPHA if of_mode else f"{error}") from error
    return encoded.getvalue()


def _lost(picture: Image, metadata: Mapping[str, bytes], back: Image) -> str:
    """What of a picture is no longer in what was read back, in words."""
    kept = metadata_in(back)
    picture, back_as_shown = turned(picture, metadata)[0], turned(back, kept)[0]
    if picture.size != back_as_shown.size:
        raise ImageError(f"it would have {back.width}x{back.height} pixels; .png holds all of it")
    opaque = not picture.mode.endswith("A") or picture.getchannel("A").getextrema()[0] == 255
    if not opaque and not back.has_transparency_data:
        raise ImageError(NO_ALPHA)
    words = []
    mode = "RGB" if opaque else "RGBa"  # premultiplied: what is hidden does not count
    quality = psnr(picture.convert("RGBA").convert(mode), back_as_shown.convert("RGBA").convert(mode))
    if quality < 100:
        colours = "holds 256 colours at most" if back.mode in ("P", "1") else "is lossy"
        words.append(f"{back.format} {colours}: {quality:.1f} dB from what was decoded")
    if missing := [WORDS[name] for name in metadata if name not in kept]:
        words.append(f"{back.format} does not keep {', '.join(missing)}")
    return "; ".join(words)


def without_alpha(picture: Image, background: str | None = None) -> Image:
    """A picture without its alpha channel, or laid over a colour, named as in CSS. A grey picture stays grey."""
    mode = picture.mode.removesuffix("A")
    plain = picture.convert(mode)
    if background and mode != picture.mode:
        ground = PIL.Image.new(mode, picture.size, ImageColor.getcolor(background, mode))
        ground.paste(plain, mask=picture.getchannel("A"))
        plain = ground
    plain.info = picture.info
    return plain
