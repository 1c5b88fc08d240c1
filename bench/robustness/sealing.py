"""Files with right checksums, so that what is wrong behind them is reached."""

from __future__ import annotations

import struct
import zlib

from convdraw_codec.errors import CdrError
from convdraw_codec.format import bitstream, constants


def seal(data: bytes) -> bytes:
    """The same bytes with right checksums, and nothing behind the last of them, as far as it is a file at all."""
    if len(data) < bitstream.HEADER_BYTES:
        return data
    sealed, offset = bytearray(data), bitstream.HEADER_BYTES
    sealed[:5] = constants.MAGIC + bytes([constants.VERSION])
    end = offset - 4
    struct.pack_into("<I", sealed, end, zlib.crc32(sealed[:end]))
    try:
        header = bitstream.parse_header(bytes(sealed))
    except CdrError:
        return bytes(sealed)
    chain = header.chain()
    for number in range(header.chunks + header.segments):
        start, offset = offset, offset + constants.CHUNK_NAME_BYTES * (number < header.chunks)
        try:
            parsed = bitstream.parse_length(sealed, offset, header.largest)
        except OverflowError:
            return bytes(sealed)
        if parsed is None or sum(parsed) + constants.CHECKSUM_BYTES > len(sealed):
            return bytes(sealed)
        offset = sum(parsed)
        chain = zlib.crc32(sealed[start:offset], chain)
        after = offset + constants.CHECKSUM_BYTES
        sealed[offset:after] = bitstream.checksum(chain)
        offset = after
    return bytes(sealed[:offset])
