"""Pictures as lossless WebP, which holds drawings and screenshots in fewer bytes than the steps of a model.

A .cdr file stores the VP8L stream of a WebP file (RFC 9649, section 3) without the 20 bytes before it, so that the size
of the picture is known before anything is decoded, and nothing but such a stream can be.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image, features

from ..errors import CdrError
from ..format.bitstream import Contents, Header
from .conversion import ALPHA, Picture
from .metadata import to_info

_RIFF = struct.Struct("<4sI4s4sI")
LARGEST_SIDE = 2**14 - 1
FASTEST, SMALLEST = (0, 0), (6, 100)  # method and quality of Pillow
PAYS = 1.5  # photographs take up to 1.2 times the bytes in steps, drawings 3 times and more


def encode(picture: Picture, effort: tuple[int, int]) -> bytes | None:
    """The stream of pixels and alpha channel; None for a picture that WebP cannot hold, or Pillow cannot write so."""
    if max(picture.pixels.size) > LARGEST_SIDE or not features.check("webp"):
        return None
    image, encoded = picture.pixels.convert("RGB"), io.BytesIO()
    if picture.alpha:
        image.putalpha(picture.alpha)
    image.info.clear()
    image.save(encoded, "WEBP", lossless=True, exact=True, method=effort[0], quality=effort[1])
    return encoded.getvalue()[_RIFF.size:][:_RIFF.unpack_from(encoded.getvalue())[-1]]


def pays(contents: Contents, stream: bytes) -> bool:
    """Whether the steps so far are so much larger than a stream of the whole picture that it takes their place."""
    return sum(map(len, contents.segments)) + len(contents.chunks.get(ALPHA, b"")) > PAYS * len(stream)


def in_place_of_steps(contents: Contents, picture: Picture) -> Contents:
    """The picture itself, behind as many steps as keep the file within a hundredth of a WebP file; those show a picture
    where it is cut. With an alpha channel, behind none: the channel would have to come twice."""
    stream = min(filter(None, (encode(picture, effort) for effort in (FASTEST, SMALLEST))), key=len)
    room = 0 if picture.alpha else len(stream) // 100 - 19  # by so much a header is larger than that of WebP
    taken = itertools.accumulate(len(segment) + 6 for segment in contents.segments)
    first = contents.first(sum(size <= room for size in taken))
    return replace(first, chunks=picture.metadata).with_step(stream, webp=True)


def decode(stream: bytes, header: Header, chunks: Mapping[str, bytes]) -> Image.Image:
    """The picture in a stream; grey is its green. Metadata go to its ``info``. Raises CdrError for a damaged stream."""
    from PIL.WebPImagePlugin import WebPImageFile  # here, since it takes time

    sides = int.from_bytes(stream[1:5], "little")
    if stream[:1] != b"\x2f" or (sides % 2**14 + 1, (sides >> 14) % 2**14 + 1) != (header.width, header.height):
        raise CdrError("its lossless picture does not fit its header")
    padded = stream + bytes(len(stream) % 2)
    riff = _RIFF.pack(b"RIFF", len(padded) + 12, b"WEBP", b"VP8L", len(stream))
    try:
        with WebPImageFile(io.BytesIO(riff + padded)) as opened:
            bands = dict(zip("RGBA", opened.convert("RGBA").split(), strict=True))
    except Exception as error:  # whatever Pillow raises for a damaged file
        raise CdrError(f"its lossless picture is damaged ({error})") from error
    image = Image.merge(header.mode, [bands["G" if band == "L" else band] for band in header.mode])
    image.info.clear()  # of what WebP says
    image.info.update(to_info(chunks))
    return image
