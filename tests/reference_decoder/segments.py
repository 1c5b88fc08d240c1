"""Section 7 of docs/format.md: latents from the payload of a step."""

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

    def symbol(self, frequencies: list[int]) -> int:
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


SHIFTS = [2 ** (22 - abs(k)) for k in range(-7, 8)]  # frequencies
SHIFTS[7] = 2**24 - sum(SHIFTS[:7] + SHIFTS[8:])


def latent_maps(table: np.ndarray, payload: bytes, rows: Sequence[np.ndarray], groups: Sequence[np.ndarray],
                behind: int = 0) -> Iterator[np.ndarray]:
    """The shifts, then the maps of a payload followed by bytes ``behind``; raises Invalid where it is."""
    decoder, frequencies = RangeDecoder(payload, behind), table.tolist()
    shifts = np.zeros(3, np.int64)
    for group in range(3):
        if any(np.any(group == of_map) for of_map in groups):
            shifts[group] = decoder.symbol(SHIFTS) - 7
    yield shifts
    for row_map, group_map in zip(rows, groups, strict=True):
        latents = np.zeros(row_map.size, np.int64)
        flat = (row_map // 64 * 64 + np.clip(row_map % 64 + 2 * shifts[group_map], 0, 63)).reshape(-1)
        for position in np.argsort(flat, kind="stable"):
            latents[position] = decoder.symbol(frequencies[flat[position]]) - 15
        for position in np.flatnonzero(latents == 16):
            latents[position] = decoder.symbol([2**16] * 256) - 128
        yield latents.reshape(row_map.shape)


def maps_of_a_cut(table: np.ndarray, payload: bytes, rows: Sequence[np.ndarray], groups: Sequence[np.ndarray]
                  ) -> Iterator[np.ndarray]:
    """Those of ``latent_maps`` that are the same however the payload goes on."""
    both_ways = [latent_maps(table, payload, rows, groups, behind) for behind in (0, 255)]
    for _ in range(1 + len(rows)):
        try:
            first, second = (next(maps) for maps in both_ways)
        except Invalid:
            return
        if not np.array_equal(first, second):
            return
        yield first
