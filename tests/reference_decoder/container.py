"""Section 1 of docs/format.md: header, chunks and payloads."""

from __future__ import annotations

import zlib

import numpy as np


class File:
    """Header, chunks and payloads, every checksum verified."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 32
        header = data[:28]
        assert header[:5] == b"\xcdCDR\x06", "not a .cdr file of version 6"
        assert zlib.crc32(header) == int.from_bytes(data[28:32], "little"), "the header is damaged"
        self.fingerprint, self.mode = header[5:13].hex(), header[13]
        self.width, self.height = (int.from_bytes(header[i:i + 2], "little") for i in (14, 16))
        self.total, chunks = header[18:20]
        self.mean = np.frombuffer(header, np.uint8, 3, 20).astype(np.int64)
        self.turn = np.frombuffer(header, np.int8, 3, 23).tolist()
        self.whole, follows = header[26:28]
        assert follows <= 2, "an unknown value"
        self.cut, webp = follows == 1, follows == 2
        self._chain = zlib.crc32(header[:26])
        self.chunks = dict(self._part(4) for _ in range(chunks))
        self.payloads = [self._part(0)[1] for _ in range(self.whole + self.cut)]
        self.webp = self._part(0)[1] if webp else None
        assert self._at == len(data), "bytes follow the last segment"

    def _part(self, name_bytes: int) -> tuple[bytes, bytes]:
        first = self._at
        name, length, shift = self._take(name_bytes), 0, 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        payload = self._take(length)
        self._chain = zlib.crc32(self._data[first:self._at], self._chain)
        assert self._chain % 2**24 == int.from_bytes(self._take(3), "little"), "a part is damaged"
        return name, payload

    def _take(self, count: int) -> bytes:
        self._at += count
        assert self._at <= len(self._data), "the file ends early"
        return self._data[self._at - count:self._at]
