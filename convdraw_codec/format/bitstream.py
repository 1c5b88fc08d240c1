"""The .cdr container: a header, chunks that go with the picture, then one segment a step, all checksummed; specified in
``docs/format.md``."""

from __future__ import annotations

import math
import operator
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..errors import CdrError, TruncatedError, counted
from .constants import CHECKSUM_BYTES, CHUNK_NAME_BYTES, FINGERPRINT_BYTES, MAGIC, MODES, RESIDUAL_STEPS, VERSION
from .rotation import Colours
from .source import Source, content, pieces

_FIELDS = struct.Struct(f"<4sB{FINGERPRINT_BYTES}sBHHBB3B3bBB")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size
_FIXED_BYTES = _FIELDS.size - 2  # what no cut changes
LENGTH_BYTES = 5  # at most
METADATA_BYTES, PIXEL_BYTES = 2**24, 16  # that a chunk or segment may have, and as many more for each pixel


@dataclass(frozen=True)
class Header:
    """What a file says before its chunks and segments.

    width, height: pixels. mode: Pillow's. steps: stored whole; total_steps: of the model, without residual steps, which
    may follow. cut: whether a part of one more step follows; webp: whether the whole picture does, as lossless WebP.
    model: the decoder's fingerprint, 16 hexadecimal digits. chunks: how many. colours: those the picture is coded in.
    """

    width: int
    height: int
    mode: str
    steps: int
    total_steps: int
    model: str
    cut: bool = False
    webp: bool = False
    chunks: int = 0
    colours: Colours = field(default_factory=Colours)

    @property
    def lossless(self) -> bool:
        """Whether every pixel is exact."""
        return self.webp or self.steps == self.total_steps + RESIDUAL_STEPS

    @property
    def grey(self) -> bool:
        """Whether the picture has no colour."""
        return self.mode[0] == "L"

    @property
    def segments(self) -> int:
        """How many there are, whole or in part."""
        return self.steps + self.cut + self.webp

    @property
    def largest(self) -> int:
        """Bytes that a chunk or segment may have."""
        return METADATA_BYTES + PIXEL_BYTES * self.width * self.height

    def bytes_at(self, bpp: float) -> int:
        """How many bytes ``bpp`` bits per pixel are, rounded down."""
        return int(bpp * self.width * self.height / 8)

    def pack(self) -> bytes:
        """The header as it is stored."""
        fields = _FIELDS.pack(MAGIC, VERSION, bytes.fromhex(self.model), MODES.index(self.mode), self.width,
                              self.height, self.total_steps, self.chunks, *self.colours.mean, *self.colours.turn,
                              self.steps, self.cut + 2 * self.webp)
        return fields + _CRC.pack(zlib.crc32(fields))

    def chain(self) -> int:
        """The checksum with which that of chunks and segments starts."""
        return zlib.crc32(self.pack()[:_FIXED_BYTES])


@dataclass(frozen=True)
class Contents:
    """A whole file. chunks: by their names of four characters. segments: the payload of each step, in order; the last
    one is only the beginning of one if ``header.cut``, and the picture itself if ``header.webp``."""

    header: Header
    segments: list[bytes]
    chunks: Mapping[str, bytes] = field(default_factory=dict)

    def with_step(self, segment: bytes, webp: bool = False) -> Contents:
        """With a segment more: a whole step, or the picture itself, a VP8L stream."""
        steps = self.header.steps if webp else len(self.segments) + 1
        return replace(self, header=replace(self.header, steps=steps, webp=webp), segments=[*self.segments, segment])

    def first(self, steps: int) -> Contents:
        """Without what is stored beyond so many steps."""
        if steps > self.header.steps:
            return self
        header = replace(self.header, steps=steps, cut=False, webp=False)
        return replace(self, header=header, segments=self.segments[:steps])


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
    if _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(data[:_FIELDS.size]):
        raise CdrError("its header is damaged (checksum mismatch)")
    (_, _, model, mode, width, height, total, chunks, red, green, blue, x, y, z, steps,
     follows) = _FIELDS.unpack_from(data)
    if mode >= len(MODES) or not width or not height or not total or follows > 2:
        raise CdrError("its header makes no sense")
    header = Header(width, height, MODES[mode], steps, total, model.hex(), follows == 1, follows == 2, chunks,
                    Colours((red, green, blue), (x, y, z)))
    if not 1 <= header.segments <= total + RESIDUAL_STEPS or (header.webp and steps and header.mode.endswith("A")):
        raise CdrError("its header makes no sense")
    return header


def _pack_length(length: int) -> bytes:
    """Seven bits a byte, least significant first; the high bit says that more follow."""
    return bytes([length]) if length < 0x80 else bytes([length & 0x7F | 0x80]) + _pack_length(length >> 7)


def parse_length(data: bytes | bytearray, offset: int, largest: int) -> tuple[int, int] | None:
    """(length, offset behind it), or None if the data ends first. Raises OverflowError for one above ``largest``."""
    length = 0
    for place, byte in enumerate(data[offset:offset + LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * place
        if length > largest:
            break
        if byte < 0x80:
            return length, offset + place + 1
    else:
        if len(data) < offset + LENGTH_BYTES:
            return None
    raise OverflowError("nothing in it is so long")


def checksum(chain: int) -> bytes:
    """What of a running CRC-32 is stored."""
    return chain.to_bytes(4, "little")[:CHECKSUM_BYTES]


def _pack_part(name: bytes, payload: bytes, chain: int) -> tuple[bytes, int]:
    """The bytes of a chunk, or of a segment, which has no name; and the running checksum after it."""
    part = name + _pack_length(len(payload)) + payload
    chain = zlib.crc32(part, chain)
    return part + checksum(chain), chain


def write(contents: Contents) -> bytes:
    """A whole file. The header's count of chunks follows from the chunks. Raises CdrError for one that is too large."""
    header = replace(contents.header, chunks=len(contents.chunks))
    parts, chain = [header.pack()], header.chain()
    for name, payload in [*contents.chunks.items(), *(("", segment) for segment in contents.segments)]:
        if len(payload) > header.largest:
            raise CdrError(f"its {name.strip() or 'step'} takes {len(payload):,} bytes, and {header.largest:,} are the "
                           "most")
        part, chain = _pack_part(name.encode("ascii"), payload, chain)
        parts.append(part)
    return b"".join(parts)


class Incoming:
    """A file that arrives piece by piece: header and chunks first, then each segment as soon as it is whole.

    pieces: bytes in any portions. check: is called with the header before anything behind it is read, and may refuse
    it. Raises CdrError, here if the file ends inside its header or chunks.
    """

    def __init__(self, pieces: Iterable[bytes], check: Callable[[Header], object] = lambda header: None):
        self._pieces, self._data = iter(pieces), bytearray()
        while len(self._data) < HEADER_BYTES and self._more():
            pass
        self.header = parse_header(bytes(self._data[:HEADER_BYTES]))
        check(self.header)
        self._offset, self._chain = HEADER_BYTES, self.header.chain()
        self.chunks: dict[str, bytes] = {}
        for number in range(1, self.header.chunks + 1):
            code, payload = self._part(CHUNK_NAME_BYTES, f"chunk {number} of {self.header.chunks}", 0)
            name = code.decode("latin-1")
            if not name.isascii() or not name.isprintable() or name in self.chunks:
                raise CdrError("its chunks make no sense")
            self.chunks[name] = payload

    def _more(self) -> bool:
        """Take another piece; whether there was one."""
        piece = next(self._pieces, None)
        self._data += piece or b""
        return piece is not None

    @property
    def behind(self) -> int:
        """Bytes that have arrived behind the last part."""
        return len(self._data) - self._offset

    def first(self, count: int) -> Iterator[bytes]:
        """The payloads of the first so many segments. Raises TruncatedError where they end or are damaged."""
        for number in range(count):
            picture = number == self.header.steps and self.header.webp
            name = "its lossless picture" if picture else f"step {number + 1} of {self.header.steps + self.header.cut}"
            yield self._part(0, name, number)[1]

    def segments(self) -> Iterator[bytes]:
        """The payloads of all, behind which the file ends. Raises TruncatedError."""
        yield from self.first(self.header.segments)
        while not self.behind:
            if not self._more():
                return
        raise TruncatedError("it has more bytes behind its last step", self.header.steps)

    def _part(self, name_bytes: int, what: str, steps: int) -> tuple[bytes, bytes]:
        """Name and payload of the next part. Raises TruncatedError, with what it is, and how many steps precede it."""
        nothing = "" if steps else ", so nothing can be decoded"
        try:
            while (found := parse_length(self._data, self._offset + name_bytes, self.header.largest)) is None or (
                    sum(found) + CHECKSUM_BYTES > len(self._data)):
                if not self._more():
                    raise TruncatedError(f"it ends inside {what}{nothing}", steps)
        except OverflowError as error:
            raise TruncatedError(f"it is damaged ({error}) in {what}{nothing}", steps) from error
        start, end = found[1], sum(found)
        part = bytes(self._data[self._offset:end])
        self._chain = zlib.crc32(part, self._chain)
        if self._data[end:end + CHECKSUM_BYTES] != checksum(self._chain):
            raise TruncatedError(f"it is damaged (checksum mismatch) in {what}{nothing}", steps)
        payload, self._offset = part[start - self._offset:], end + CHECKSUM_BYTES
        return part[:name_bytes], payload


def read(data: bytes, *, allow_truncated: bool = False, steps: int | None = None) -> Contents:
    """Everything in a file, or its first ``steps`` steps, every checksum verified. With ``allow_truncated``, a file
    that ends early or is damaged gives the whole steps before that place. Raises CdrError."""
    steps = None if steps is None else operator.index(steps)

    def check(header: Header) -> None:
        if steps is not None and not 1 <= steps <= header.steps:
            raise CdrError(f"it stores {counted(header.steps, 'whole step')}, so {steps} cannot be taken from it")

    incoming, segments = Incoming([data], check), list[bytes]()
    header = incoming.header
    try:
        for segment in incoming.first(header.segments if steps is None else steps):
            segments.append(segment)
        if len(segments) == header.segments and incoming.behind:
            raise TruncatedError(f"it has {counted(incoming.behind, 'byte')} behind its last step", header.steps)
    except TruncatedError:
        if not allow_truncated or not segments:
            raise
    contents = Contents(header, segments, incoming.chunks)
    return contents if len(segments) == header.segments else contents.first(len(segments))


def inspect(data: Source) -> Header:
    """The header of a .cdr file: bytes, a path or an open file, of which no more is read. Raises CdrError; OSError for
    a path that is not there or cannot be read; TypeError for anything else."""
    head = b""
    for piece in pieces(data, HEADER_BYTES):
        head += piece
        if len(head) >= HEADER_BYTES:
            break
    return parse_header(head[:HEADER_BYTES])


def truncate(data: Source, steps: int | None = None, *, size: int | None = None, bpp: float | None = None) -> bytes:
    """The same picture in fewer bytes: with only the first ``steps`` steps, in at most ``size`` bytes, or in at most
    ``bpp`` bits per pixel.

    data: bytes, a path or an open file. With ``steps``, it is what ``compress`` with that many would write. A size may
    cut the last step short. A picture that is stored as lossless WebP is kept whole or left out, so only the steps
    before it remain. Raises CdrError if the file is damaged, stores fewer steps, or cannot become so small; OSError for
    a path that is not there or cannot be read; TypeError for what is no file.
    """
    if sum(budget is not None for budget in (steps, size, bpp)) != 1:
        raise ValueError("give one of steps, size and bpp")
    if not all(0 <= budget < math.inf for budget in (size, bpp) if budget is not None):
        raise ValueError("size and bpp are numbers from 0 on")
    contents = read(content(data), steps=steps)
    if bpp is not None:
        size = contents.header.bytes_at(bpp)
    return write(contents if size is None else _cut(contents, size))


def _cut(contents: Contents, size: int) -> Contents:
    """The longest beginning of the steps with which the file has at most ``size`` bytes."""
    if (whole := len(write(contents))) <= size:
        return contents
    empty = len(write(replace(contents, segments=[])))
    room, segments, cut = size - empty, list[bytes](), False
    for segment in contents.segments[:contents.header.steps + contents.header.cut]:
        needed = len(_pack_part(b"", segment, 0)[0])
        if needed <= room:
            segments.append(segment)
            room -= needed
            continue
        length = room - CHECKSUM_BYTES
        while length > 0 and len(_pack_length(length)) + length + CHECKSUM_BYTES > room:
            length -= 1
        if cut := length > 0:
            segments.append(segment[:length])
        break
    if not segments:
        least = empty + CHECKSUM_BYTES + 2 if contents.header.segments > contents.header.webp else whole
        raise CdrError(f"it cannot be cut to {counted(size, 'byte')}: {least:,} are the least")
    header = replace(contents.header, steps=len(segments) - cut, cut=cut, webp=False)
    return replace(contents, header=header, segments=segments)
