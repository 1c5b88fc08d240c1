"""The .cdr container: a header, then one segment a step, each with its length and checksum.

``docs/format.md`` is its specification. This module needs neither torch nor a model.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from os import PathLike

from .errors import CdrError, TruncatedError

MAGIC = b"\xcdCDR"
VERSION = 1
MODES = ("RGB", "L")
LARGEST_SIDE = 65535
FINGERPRINT_BYTES = 8


@dataclass(frozen=True)
class Header:
    """What a file says before its first segment.

    width, height: pixels. mode: "RGB" or "L". steps: stored; total_steps: of the model.
    model: the fingerprint of the decoder, 16 hexadecimal digits.
    """

    width: int
    height: int
    mode: str
    steps: int
    total_steps: int
    model: str

    def pack(self) -> tuple[bytes, int]:
        """The header's bytes, and the checksum with which the chain over the segments starts."""
        fixed = (MAGIC + bytes([VERSION]) + bytes.fromhex(self.model) + bytes([MODES.index(self.mode)])
                 + struct.pack("<HHB", self.width, self.height, self.total_steps))
        body = fixed + bytes([self.steps])
        return body + struct.pack("<I", zlib.crc32(body)), zlib.crc32(fixed)


HEADER_BYTES = len(Header(1, 1, "L", 1, 1, "00" * FINGERPRINT_BYTES).pack()[0])


def parse_header(data: bytes) -> Header:
    """Read and check the header. Raises CdrError."""
    if not data:
        raise CdrError("it is empty")
    if data[:len(MAGIC)] != MAGIC[:len(data)]:
        raise CdrError("it is not a .cdr file")
    if len(data) < HEADER_BYTES:
        raise TruncatedError("it ends inside its header, so nothing can be decoded", 0)
    if data[len(MAGIC)] != VERSION:
        raise CdrError(f"it has format version {data[len(MAGIC)]}, and this program reads version {VERSION}")
    body, (checksum,) = data[:HEADER_BYTES - 4], struct.unpack_from("<I", data, HEADER_BYTES - 4)
    if zlib.crc32(body) != checksum:
        raise CdrError("its header is damaged (checksum mismatch)")
    mode = body[5 + FINGERPRINT_BYTES]
    width, height, total = struct.unpack_from("<HHB", body, 6 + FINGERPRINT_BYTES)
    steps = body[-1]
    if mode >= len(MODES) or not width or not height or not 1 <= steps <= total:
        raise CdrError("its header makes no sense")
    return Header(width, height, MODES[mode], steps, total, body[5:5 + FINGERPRINT_BYTES].hex())


def _pack_length(length: int) -> bytes:
    """Seven bits a byte, least significant first; the high bit says that more follow."""
    result = bytearray()
    while length >= 0x80:
        result.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*result, length])


def _parse_length(data: bytes, offset: int) -> tuple[int, int] | None:
    """(length, offset behind it), or None if the data ends first or the length takes more than five bytes."""
    length = 0
    for shift in range(0, 35, 7):
        if offset >= len(data):
            return None
        length |= (data[offset] & 0x7F) << shift
        offset += 1
        if data[offset - 1] < 0x80:
            return length, offset
    return None


def write(header: Header, segments: list[bytes]) -> bytes:
    """A whole file from its header and one payload a step."""
    head, chain = header.pack()
    parts = [head]
    for segment in segments:
        part = _pack_length(len(segment)) + segment
        chain = zlib.crc32(part, chain)
        parts += [part, struct.pack("<I", chain)]
    return b"".join(parts)


def read(data: bytes, *, allow_truncated: bool = False, steps: int | None = None) -> tuple[Header, list[bytes]]:
    """Header and payloads, every checksum verified.

    With ``steps``, only the first so many are read. With ``allow_truncated``, a file that ends early or is
    damaged gives the whole steps before that place. Raises CdrError.
    """
    header = parse_header(data)
    if steps is not None and not 1 <= steps <= header.steps:
        raise CdrError(f"it stores {header.steps} steps, so {steps} cannot be taken from it")
    _, chain = header.pack()
    wanted = header.steps if steps is None else steps
    segments: list[bytes] = []
    offset, problem = HEADER_BYTES, ""
    while len(segments) < wanted:
        number = len(segments) + 1
        parsed = _parse_length(data, offset)
        if parsed is None or parsed[1] + parsed[0] + 4 > len(data):
            problem = f"it ends inside step {number} of {header.steps}"
            break
        length, start = parsed
        chain = zlib.crc32(data[offset:start + length], chain)
        if struct.unpack_from("<I", data, start + length)[0] != chain:
            problem = f"step {number} of {header.steps} is damaged (checksum mismatch)"
            break
        segments.append(data[start:start + length])
        offset = start + length + 4
    if not problem and wanted == header.steps and offset != len(data):
        problem = f"{len(data) - offset} bytes follow its last step"
    if problem:
        whole = len(segments)
        if not whole:
            raise TruncatedError(f"{problem}, so nothing can be decoded", 0)
        if not allow_truncated:
            raise TruncatedError(problem, whole)
    return replace(header, steps=len(segments)), segments


def inspect(data: bytes | str | PathLike[str]) -> Header:
    """The header of a .cdr file, bytes or a path; nothing behind it is read. Raises CdrError, OSError."""
    if isinstance(data, (str, PathLike)):
        with open(data, "rb") as file:
            data = file.read(HEADER_BYTES)
    return parse_header(data)


def truncate(data: bytes, steps: int) -> bytes:
    """The same picture with only the first ``steps`` steps: what ``compress`` with that many would write.

    Raises CdrError if the file is damaged or stores fewer.
    """
    return write(*read(data, steps=steps))
