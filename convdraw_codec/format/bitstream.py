"""The .cdr container: a header, chunks that go with the picture, then one segment a step, all checksummed.

``docs/format.md`` is its specification. This module needs neither torch nor a model.
"""

from __future__ import annotations

import itertools
import operator
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import IO

from ..errors import CdrError, TruncatedError
from .constants import (
    CHECKSUM_BYTES,
    CHUNK_NAME_BYTES,
    FINGERPRINT_BYTES,
    MAGIC,
    MODES,
    RESIDUAL_STEPS,
    VERSION,
)
from .rotation import Colours

READ_BYTES = 2**16


@dataclass(frozen=True)
class Header:
    """What a file says before its chunks and segments.

    width, height: pixels. mode: of the picture, as Pillow calls it. steps: stored whole; total_steps: of the
    model, not counting residual steps, which may follow them. cut: whether a part of one more step follows. model: the
    fingerprint of the decoder, 16 hexadecimal digits. chunks: how many. colours: those in which the picture is coded.
    """

    width: int
    height: int
    mode: str
    steps: int
    total_steps: int
    model: str
    cut: bool = False
    chunks: int = 0
    colours: Colours = field(default_factory=Colours)

    @property
    def lossless(self) -> bool:
        """Whether every pixel is exact."""
        return self.steps == self.total_steps + RESIDUAL_STEPS

    def pack(self) -> tuple[bytes, int]:
        """The header's bytes, and the checksum with which the chain over chunks and segments starts."""
        fixed = (MAGIC + bytes([VERSION]) + bytes.fromhex(self.model) + bytes([MODES.index(self.mode)])
                 + struct.pack("<HHBB3B3b", self.width, self.height, self.total_steps, self.chunks, *self.colours.mean,
                               *self.colours.turn))
        body = fixed + bytes([self.steps, self.cut])
        return body + struct.pack("<I", zlib.crc32(body)), zlib.crc32(fixed)


HEADER_BYTES = len(Header(1, 1, "L", 1, 1, "00" * FINGERPRINT_BYTES).pack()[0])


@dataclass(frozen=True)
class Contents:
    """A whole file. chunks: by their names of four characters. segments: the payload of each step, in order; if
    ``header.cut``, the last one is only the beginning of a step's payload."""

    header: Header
    segments: list[bytes]
    chunks: Mapping[str, bytes] = field(default_factory=dict)

    def with_step(self, segment: bytes) -> Contents:
        """With a segment more."""
        segments = [*self.segments, segment]
        return replace(self, header=replace(self.header, steps=len(segments)), segments=segments)

    def first(self, steps: int) -> Contents:
        """Without what is stored beyond so many steps."""
        if steps > self.header.steps:
            return self
        return replace(self, header=replace(self.header, steps=steps, cut=False), segments=self.segments[:steps])


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
    width, height, total, chunks, red, green, blue, *turn, steps, cut = struct.unpack_from(
        "<HHBB3B3bBB", body, 6 + FINGERPRINT_BYTES)
    if mode >= len(MODES) or not width or not height or cut > 1 or not total or (
            not 1 <= steps + cut <= total + RESIDUAL_STEPS):
        raise CdrError("its header makes no sense")
    return Header(width, height, MODES[mode], steps, total, body[5:5 + FINGERPRINT_BYTES].hex(), bool(cut), chunks,
                  Colours((red, green, blue), (turn[0], turn[1], turn[2])))


def _pack_length(length: int) -> bytes:
    """Seven bits a byte, least significant first; the high bit says that more follow."""
    result = bytearray()
    while length >= 0x80:
        result.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*result, length])


def _parse_length(data: bytes | bytearray, offset: int) -> tuple[int, int] | None:
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


def _checksum(chain: int) -> bytes:
    """What of a running CRC-32 is stored."""
    return chain.to_bytes(4, "little")[:CHECKSUM_BYTES]


def _pack_part(name: bytes, payload: bytes, chain: int) -> tuple[bytes, int]:
    """A chunk, or a segment, which has no name: its bytes, and the running checksum after it."""
    part = name + _pack_length(len(payload)) + payload
    chain = zlib.crc32(part, chain)
    return part + _checksum(chain), chain


def write(contents: Contents) -> bytes:
    """A whole file. The header's count of chunks follows from the chunks."""
    head, chain = replace(contents.header, chunks=len(contents.chunks)).pack()
    parts = [head]
    named: Iterable[tuple[bytes, bytes]] = ((name.encode("ascii"), data) for name, data in contents.chunks.items())
    for name, payload in [*named, *((b"", segment) for segment in contents.segments)]:
        part, chain = _pack_part(name, payload, chain)
        parts.append(part)
    return b"".join(parts)


class _Reader:
    """Walks over the parts behind the header, each checked. ``more`` adds to the end of the data, if it can."""

    def __init__(self, data: bytes | bytearray, header: Header, more: Callable[[], bool] = lambda: False):
        self.data, self.offset, self.chain, self.more = data, HEADER_BYTES, header.pack()[1], more

    def part(self, name_bytes: int) -> tuple[bytes, bytes] | str:
        """Name and payload of the next part, or what is wrong with it."""
        parsed = _parse_length(self.data, self.offset + name_bytes)
        while parsed is None or parsed[1] + parsed[0] + CHECKSUM_BYTES > len(self.data):
            if not self.more():
                return "it ends inside"
            parsed = _parse_length(self.data, self.offset + name_bytes)
        length, start = parsed
        with memoryview(self.data) as view:
            chain = zlib.crc32(view[self.offset:start + length], self.chain)
        end = start + length + CHECKSUM_BYTES
        if self.data[start + length:end] != _checksum(chain):
            return "it is damaged (checksum mismatch) in"
        name = bytes(self.data[self.offset:self.offset + name_bytes])
        self.offset, self.chain = end, chain
        return name, bytes(self.data[start:start + length])

    def chunks(self, count: int) -> dict[str, bytes]:
        """The chunks, by name. Raises CdrError."""
        chunks: dict[str, bytes] = {}
        for number in range(1, count + 1):
            part = self.part(CHUNK_NAME_BYTES)
            if isinstance(part, str):
                raise TruncatedError(f"{part} chunk {number} of {count}, so nothing can be decoded", 0)
            name = part[0].decode("latin-1")
            if not name.isascii() or not name.isprintable() or name in chunks:
                raise CdrError("its chunks make no sense")
            chunks[name] = part[1]
        return chunks


class Incoming:
    """A file that arrives piece by piece: header and chunks first, then each segment as soon as it is whole.

    pieces: bytes in any portions. Raises CdrError, here if the file ends inside its header or chunks.
    """

    def __init__(self, pieces: Iterable[bytes]):
        self._pieces, self._data = iter(pieces), bytearray()
        while len(self._data) < HEADER_BYTES and self._more():
            pass
        self.header = parse_header(bytes(self._data[:HEADER_BYTES]))
        self._reader = _Reader(self._data, self.header, self._more)
        self.chunks = self._reader.chunks(self.header.chunks)

    def _more(self) -> bool:
        """Take another piece; whether there was one."""
        piece = next(self._pieces, None)
        self._data += piece or b""
        return piece is not None

    def segments(self) -> Iterator[bytes]:
        """The payloads. Raises TruncatedError where the file ends or is damaged."""
        count = self.header.steps + self.header.cut
        for number in range(1, count + 1):
            part = self._reader.part(0)
            if isinstance(part, str):
                raise TruncatedError(f"{part} step {number} of {count}", number - 1)
            yield part[1]
        while self._reader.offset == len(self._data):
            if not self._more():
                return
        raise TruncatedError("more bytes follow its last step", self.header.steps)


def read(data: bytes, *, allow_truncated: bool = False, steps: int | None = None) -> Contents:
    """Everything in a file, every checksum verified.

    With ``steps``, only the first so many are read. With ``allow_truncated``, a file that ends early or is
    damaged gives the whole steps before that place. Raises CdrError.
    """
    header = parse_header(data)
    steps = None if steps is None else operator.index(steps)
    if steps is not None and not 1 <= steps <= header.steps:
        raise CdrError(f"it stores {header.steps} whole steps, so {steps} cannot be taken from it")
    reader = _Reader(data, header)
    chunks = reader.chunks(header.chunks)
    cut = header.cut and steps is None
    wanted = (header.steps if steps is None else steps) + cut
    segments: list[bytes] = []
    problem = ""
    while len(segments) < wanted and not problem:
        part = reader.part(0)
        if isinstance(part, str):
            problem = f"{part} step {len(segments) + 1} of {header.steps + header.cut}"
        else:
            segments.append(part[1])
    if not problem and wanted == header.steps + header.cut and reader.offset != len(data):
        problem = f"{len(data) - reader.offset} bytes follow its last step"
    if problem:
        cut = cut and len(segments) == wanted
        if not segments:
            raise TruncatedError(f"{problem}, so nothing can be decoded", 0)
        if not allow_truncated:
            raise TruncatedError(problem, len(segments) - cut)
    return Contents(replace(header, steps=len(segments) - cut, cut=cut), segments, chunks)


def inspect(data: bytes | str | PathLike[str]) -> Header:
    """The header of a .cdr file, bytes or a path; nothing behind it is read. Raises CdrError, OSError."""
    if isinstance(data, (str, PathLike)):
        with open(data, "rb") as file:
            data = file.read(HEADER_BYTES)
    return parse_header(data)


def read_head(file: IO[bytes]) -> tuple[Header, dict[str, bytes]]:
    """Header and chunks from the beginning of an open file; its segments are not read. Raises CdrError, OSError."""
    incoming = Incoming(itertools.chain([file.read(HEADER_BYTES)], pieces(file)))
    return incoming.header, incoming.chunks


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """What an open file or pipe gives, as it comes."""
    read = getattr(file, "read1", file.read)
    return iter(lambda: read(READ_BYTES), b"")


def truncate(data: bytes | str | PathLike[str], steps: int | None = None, *, size: int | None = None) -> bytes:
    """The same picture in fewer bytes: with only the first ``steps`` steps, or in at most ``size`` bytes.

    data: bytes or a path. With ``steps``, it is what ``compress`` with that many would write. A ``size`` may cut the
    last step short. Raises CdrError if the file is damaged, stores fewer steps, or cannot become so small.
    """
    if (steps is None) == (size is None):
        raise ValueError("give either steps or size")
    if isinstance(data, (str, PathLike)):
        with open(data, "rb") as file:
            data = file.read()
    contents = read(data, steps=steps)
    return write(contents if size is None else _cut(contents, size))


def _cut(contents: Contents, size: int) -> Contents:
    """The longest beginning of the steps with which the file has at most ``size`` bytes."""
    room = size - len(write(replace(contents, segments=[])))
    segments: list[bytes] = []
    cut = False
    for segment in contents.segments:
        needed = len(_pack_part(b"", segment, 0)[0])
        if needed <= room:
            segments.append(segment)
            room -= needed
            continue
        length = room - CHECKSUM_BYTES
        while length > 0 and len(_pack_length(length)) + length + CHECKSUM_BYTES > room:
            length -= 1
        if length > 0:
            segments.append(segment[:length])
            cut = True
        break
    else:
        cut = contents.header.cut
    if not segments:
        raise CdrError(f"it cannot be cut to {size:,} bytes: {size - room + CHECKSUM_BYTES + 2:,} are the least")
    header = replace(contents.header, steps=len(segments) - cut, cut=cut)
    return replace(contents, header=header, segments=segments)
