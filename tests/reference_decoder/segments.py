"""Section 6 of docs/format.md: symbols from the payload of a step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np


class Invalid(Exception):
    """The data is no output of the range coder."""


class RangeDecoder:
    def __init__(self, data: bytes, behind: int) -> None:
        padded = data + bytes(-len(data) % 4) if not behind else data + b"\xff" * (-len(data) % 4)
        words = (int.from_bytes(padded[i:i + 4], "big") for i in range(0, len(padded), 4))
        self._words: Iterator[int] = itertools.chain(words, itertools.repeat(behind * 0x01010101))
        self._point = next(self._words) << 32 | next(self._words)
        self._lower, self._range = 0, 2**64 - 1

    def symbol(self, frequencies: Sequence[int]) -> int:
        scale = self._range >> 24
        q = ((self._point - self._lower) % 2**64) // scale
        if q >= 2**24:
            raise Invalid
        before = symbol = 0
        while q >= before + frequencies[symbol]:
            before += frequencies[symbol]
            symbol += 1
        self._lower = (self._lower + scale * before) % 2**64
        self._range = scale * frequencies[symbol]
        if self._range < 2**32:
            self._lower, self._range = self._lower << 32 & 2**64 - 1, self._range << 32
            self._point = (self._point << 32 | next(self._words)) & 2**64 - 1
        return symbol


RAW = [2**15] * 512  # of the escaped symbols -256..255


def decoded(table: np.ndarray, slopes: np.ndarray, payload: bytes, rows: np.ndarray, cut: bool
            ) -> tuple[np.ndarray, np.ndarray]:
    """The symbols of a step, and where they are known: everywhere, or, of a payload that was cut, those that are the
    same however it goes on. rows: (symbols,), of each. slopes: of rows; 0 for quiet ones."""
    decoders = [RangeDecoder(payload, behind) for behind in ((0, 255) if cut else (0,))]
    result, there, frequencies = np.zeros(rows.size, np.int64), np.zeros(rows.size, bool), table.tolist()
    quiet, order = slopes == 0, np.argsort(-slopes, kind="stable")

    def read(distribution: Sequence[int], count: int) -> list[int]:
        """As many symbols as are sure."""
        found: list[int] = []
        for _ in range(count):
            try:
                one, *others = [decoder.symbol(distribution) for decoder in decoders]
            except Invalid:
                if not cut:
                    raise
                break
            if others not in ([], [one]):
                break
            found.append(one)
        return found

    def fill(positions: list[int], distribution: Sequence[int]) -> bool:
        """Symbols at these positions, and whether they are all sure. A position that is -1 is none."""
        found = [symbol - 15 for symbol in read(distribution, len(positions))]
        escaped = [i for i, symbol in enumerate(found) if symbol == 16]
        raw = read(RAW, len(escaped)) if len(found) == len(positions) else []
        for i, symbol in zip(escaped, raw, strict=False):
            found[i] = symbol - 256
        sure = escaped[len(raw)] if len(raw) < len(escaped) else len(found)
        for position, symbol in zip(positions[:sure], found, strict=False):
            if position >= 0:
                result[position], there[position] = symbol, True
        return sure == len(positions)

    for row in order[~quiet[order]]:
        positions = np.flatnonzero(rows == row).tolist()
        if positions and not fill(positions, frequencies[row]):
            return result, there
    still = np.flatnonzero(quiet[rows]).tolist()
    groups = [still[first:first + 64] for first in range(0, len(still), 64)]
    loud = read([2**24 - 2**18, 2**18], len(groups))
    inside: list[int] = []
    for group, other in zip(groups, loud, strict=False):
        if other:
            inside += group + [-1] * (64 - len(group))
        else:
            there[group] = True
    if inside and len(loud) == len(groups):
        halves = [2 ** (17 - k) for k in range(1, 16)]
        fill(inside, [*halves[::-1], 2**24 - 2**18, *halves, 8])
    return result, there
