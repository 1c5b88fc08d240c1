"""What goes along with pixels: ICC profile, EXIF, XMP and resolution, in Pillow images and as chunks of a file."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

from ..errors import CdrError

# Chunks, and where Pillow keeps what they hold; and their names for people.
METADATA = {"ICCP": "icc_profile", "EXIF": "exif", "XMP ": "xmp", "DPI ": "dpi"}
WORDS = {"ICCP": "ICC profile", "EXIF": "EXIF", "XMP ": "XMP", "DPI ": "resolution"}
# What Pillow raises for damaged files; its AVIF decoder, RuntimeError.
DAMAGE = (SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, RuntimeError, struct.error,
          zlib.error)

_EXIF_PREFIX = b"Exif\0\0"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"  # in JPEG
_UNKNOWN_DPI = (72, 72)  # what Pillow and others say when they do not know
_NO_COMMENT = b"Created by OpenJPEG"  # which JPEG 2000 files have in place of one
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*=\s*["']\s*(\d)\s*["']|"""
                              rb"<tiff:Orientation>\s*(\d)\s*</tiff:Orientation>")
_TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}
# Tags of a TIFF file that describe the picture and not how it is stored; the resolution is a chunk of its own.
_DESCRIPTIVE = {Base.DocumentName, Base.ImageDescription, Base.Make, Base.Model, Base.Orientation, Base.PageName,
                Base.Software, Base.DateTime, Base.Artist, Base.HostComputer, Base.Rating, Base.RatingPercent,
                Base.Copyright, Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject}
_FIRST_PRIVATE = 2**15  # tags from here on belong to others than the TIFF standard
_KEPT_TAGS = {*_DESCRIPTIVE, IFD.Exif, IFD.GPSInfo, Base.InterColorProfile}
_RAW_PROFILES = {"exif": "exif", "APP1": "exif", "xmp": "xmp", "icc": "icc_profile"}
_KEPT_TEXT = {"XML:com.adobe.xmp", *(f"Raw profile type {kind}" for kind in _RAW_PROFILES)}
# How a file may say what its colours are; the names for people; what sRGB has, as which all pictures are taken.
_SRGB = {"cicp": ("cICP", (1, 13, 0, 1)), "gamma": ("gamma", (0.45455,)),
         "chromaticity": ("primaries", (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))}


def metadata_in(image: Image.Image) -> dict[str, bytes]:
    """The chunks for what a loaded Pillow image brings. Raises TypeError for an ``info`` of other types."""
    found = to_chunks({**_raw_profiles(image.info), **image.info})
    if "EXIF" not in found and hasattr(image, "tag_v2") and (exif := _exif_of_tiff(image)):
        found["EXIF"] = exif
    if image.format == "TIFF":  # which Pillow has turned
        return without_orientation(found)
    if image.format == "AVIF" and "XMP " in found:  # which is turned as its EXIF says, by Pillow's account
        found["XMP "] = _XMP_ORIENTATION.sub(b"", found["XMP "])
    return found


def to_chunks(info: Mapping[Any, Any]) -> dict[str, bytes]:
    """The chunks for the ``info`` of a Pillow image. Raises TypeError for entries of other types than Pillow's."""
    chunks = {name: _to_chunk(name, info[key]) for name, key in METADATA.items() if info.get(key)}
    return {name: data for name, data in chunks.items() if data}


def to_info(chunks: Mapping[str, bytes]) -> dict[str, Any]:
    """Entries for the ``info`` of a Pillow image. Raises CdrError for a resolution that makes no sense."""
    info: dict[str, Any] = {key: chunks[name] for name, key in METADATA.items() if name in chunks}
    if "exif" in info:  # files of earlier versions may lack the prefix
        info["exif"] = _to_chunk("EXIF", info["exif"])
    if "dpi" in info:
        if len(info["dpi"]) != 8 or not _to_chunk("DPI ", struct.unpack("<2f", info["dpi"])):
            raise CdrError("its resolution makes no sense")
        info["dpi"] = struct.unpack("<2f", info["dpi"])
    return info


def _to_chunk(name: str, value: Any) -> bytes:
    """An entry of ``info`` as it is stored; nothing for a resolution that is none."""
    if name == "DPI ":
        return _resolution(value)
    if isinstance(value, Image.Exif):
        value = value.tobytes()
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"info[{METADATA[name]!r}] is bytes, not {type(value).__name__}")
    return _EXIF_PREFIX + bytes(value).removeprefix(_EXIF_PREFIX) if name == "EXIF" else bytes(value)


def _resolution(dpi: Any) -> bytes:
    try:
        across, down = map(float, dpi)
    except (TypeError, ValueError, ArithmeticError):  # of a damaged file
        return b""
    known = (across, down) != _UNKNOWN_DPI and 1 < across < 2**16 and 1 < down < 2**16
    return struct.pack("<2f", across, down) if known else b""


def _raw_profiles(info: Mapping[Any, Any]) -> dict[str, bytes]:
    """What ImageMagick hides in the text of a PNG file: a name, a length and hexadecimal digits."""
    found = {}
    for kind, key in _RAW_PROFILES.items():
        lines = str(info.get(f"Raw profile type {kind}", "")).split("\n")
        try:
            data = bytes.fromhex("".join(lines[3:]))
        except ValueError:
            continue
        if data:
            found["xmp" if data.startswith(_XMP_PREFIX) else key] = data.removeprefix(_XMP_PREFIX)
    return found


def _exif_of_tiff(image: Image.Image) -> bytes:
    """The tags of a TIFF file that other formats keep as EXIF. Nothing, with a warning, where they are damaged."""
    exif = Image.Exif()
    try:
        whole = image.getexif()
        for tag in set(whole) & _DESCRIPTIVE:
            exif[tag] = whole[tag]
        for ifd in (IFD.Exif, IFD.GPSInfo):
            if values := {tag: value for tag, value in whole.get_ifd(ifd).items() if tag != IFD.Interop}:
                exif[ifd] = values
        return exif.tobytes() if exif else b""
    except DAMAGE:
        warnings.warn("its EXIF is damaged and is not kept", UserWarning, stacklevel=4)
        return b""


def orientation_of(metadata: Mapping[str, bytes]) -> int:
    """How pixels are to be turned, 1 to 8 as in EXIF, which goes before XMP; 0 where the EXIF is damaged."""
    exif = Image.Exif()
    try:
        exif.load(metadata.get("EXIF", b""))
        value = exif.get(Base.Orientation)
    except DAMAGE:
        return 0
    match = _XMP_ORIENTATION.search(metadata.get("XMP ", b""))
    if value is None and match:
        value = int(match[1] or match[2])
    return value if value in _TURNS else 1


def without_orientation(metadata: Mapping[str, bytes]) -> dict[str, bytes]:
    """Metadata for pixels that are upright: neither EXIF nor XMP says otherwise."""
    kept, exif = dict(metadata), Image.Exif()
    if "XMP " in kept:
        kept["XMP "] = _XMP_ORIENTATION.sub(b"", kept["XMP "])
    if orientation_of(kept) > 1:
        exif.load(kept.pop("EXIF"))
        del exif[Base.Orientation]
        if exif:
            kept["EXIF"] = exif.tobytes()
    return kept


def turned(image: Image.Image, metadata: Mapping[str, bytes]) -> tuple[Image.Image, dict[str, bytes]]:
    """Pixels turned as their metadata says, and metadata that no longer says so; damaged EXIF changes nothing."""
    orientation = orientation_of(metadata)
    if not orientation:
        return image, dict(metadata)
    return image.transpose(_TURNS[orientation]) if orientation > 1 else image, without_orientation(metadata)


def beside(image: Image.Image, metadata: Mapping[str, bytes], cicp: tuple[int, ...]) -> list[str]:
    """What a loaded image brings beside pixels and ``metadata``, which a .cdr file does not hold, in words."""
    info: dict[Any, Any] = {**image.info, "cicp": cicp or _SRGB["cicp"][1]}
    lost = []
    replaced = {"gamma", "chromaticity"} if "ICCP" in metadata or "srgb" in info else set()
    for key, (word, usual) in _SRGB.items():
        values = np.atleast_1d(info.get(key, usual))
        if key not in replaced and not np.allclose(values, usual, atol=1e-3):
            lost.append(f"{word} ({', '.join(f'{number:g}' for number in values)})")
    text = [key for key in getattr(image, "text", {}) if key not in _KEPT_TEXT]
    if text:
        lost.append(f"text ({', '.join(text)})")
    comment = info.get("comment")
    if comment and not (image.format == "JPEG2000" and comment.startswith(_NO_COMMENT)):
        lost.append("a comment")
    if info.get("photoshop"):
        lost.append("Photoshop's data")
    private = sorted(tag for tag in getattr(image, "tag_v2", ()) if tag >= _FIRST_PRIVATE and tag not in _KEPT_TAGS)
    if private:
        lost.append(f"TIFF tags {', '.join(map(str, private))}")
    return lost


def save_options(metadata: Mapping[str, bytes], format: str) -> dict[str, Any]:
    """Metadata as arguments of Pillow's ``save``."""
    from PIL.PngImagePlugin import PngInfo  # here, since it takes time

    options = to_info(metadata)
    if format == "PNG" and "xmp" in options:  # which Pillow takes as text alone
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(errors="replace"))
    if format == "TIFF":  # where EXIF and XMP are tags beside those that say how the picture is stored
        exif = Image.Exif()
        exif.load(options.get("exif", b""))
        for tag in [tag for tag in exif if tag < _FIRST_PRIVATE and tag not in _DESCRIPTIVE]:
            del exif[tag]
        if "xmp" in options:
            exif[Base.XMLPacket] = options.pop("xmp")
        options["exif"] = exif
    return options


def cicp_of(image: Image.Image) -> tuple[int, ...]:
    """The four numbers of a PNG file's cICP chunk, which Pillow passes over; the image is open, and not loaded."""
    file = getattr(image, "fp", None)
    if image.format != "PNG" or not file:
        return ()
    place = file.tell()
    file.seek(0)
    found = re.search(rb"\0\0\0\x04cICP(.{4})", file.read(2**20).split(b"IDAT")[0], re.DOTALL)
    file.seek(place)
    return tuple(found[1]) if found else ()
