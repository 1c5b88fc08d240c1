"""Latents <-> bytes: range coding with constriction under stored integer tables.

A table index names a distribution of the frequency table: 32 frequencies that sum to 2**24, of the latents -15..15 and
of an escape. First come the scale offsets, then latent maps, one after another. Within a map, positions are sorted by
table index, as the offsets have moved it, else in raster order: one call of the coder for each distribution makes it
fast. Escaped latents follow their map, a symbol of equal odds each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import CdrError
from ..format.constants import ESCAPE, LARGEST, PRECISION
from . import scale_offsets
from .scale_offsets import Maps

WORDS_BEHIND = 4  # while decoders agree, they look at no more than two words behind the data
_RAW_OFFSET = 128


class _Undetermined(Exception):
    """The data ends before the next group of symbols."""


def _agreed(decoders: list[Any], model: Any, count: int) -> np.ndarray:
    """The next symbols, if both decoders find the same: an interval holds all that lies between two of its points."""
    try:
        symbols, others = (decoder.decode(model, count) for decoder in decoders)
    except AssertionError as error:  # beyond where they part, either may meet a point outside the range
        raise _Undetermined from error
    if not np.array_equal(symbols, others):
        raise _Undetermined
    return symbols


def _symbols(latents: np.ndarray) -> np.ndarray:
    """Of a map of latents, flat, int32."""
    flat = latents.reshape(-1).astype(np.int32)
    return np.where(np.abs(flat) > LARGEST, ESCAPE, flat + LARGEST).astype(np.int32)


def _shortest(words: np.ndarray, position: int, state: tuple[int, int]) -> bytes:
    """Flush with the fewest bytes: a decoder reads zeros behind them. Any number in [lower, lower + span) decodes the
    same; take the one with most trailing zero bytes. state: lower and span, in the two words from ``position`` on."""
    lower, span = state
    point = int.from_bytes(words.astype(">u4").tobytes().ljust(4 * (position + 2), b"\0"), "big")
    lowest = point - (point - lower) % 2**64  # with the words before them
    highest = lowest + span - 1
    rounded = next(x for x in (highest >> n << n for n in range(64, -1, -8)) if x >= lowest)
    return rounded.to_bytes(4 * (position + 2), "big").rstrip(b"\0")


class LatentCoder:
    """Codes whole latents under a table of frequencies: (at most 256, 32) whole numbers >= 1, each distribution summing
    to 2**24. groups: which of them share a scale offset in which kinds of map, see ``scale_offsets.Shifts``."""

    def __init__(self, frequencies: np.ndarray, groups: Sequence[Sequence[int]]):
        import constriction  # here, since training needs the constants above but no coder

        self.frequencies = frequencies = np.asarray(frequencies, dtype=np.int64)
        # constriction gives every symbol 1 and shares out the rest: with frequency - 1 nothing is left to round
        *self._models, self._shift = [constriction.stream.model.Categorical((one - 1).astype(np.float64), perfect=False)
                                      for one in [*frequencies, scale_offsets.shift_frequencies(PRECISION)]]
        self._shifts = scale_offsets.Shifts(groups, len(frequencies) // len(groups[0]))
        self._raw = constriction.stream.model.Uniform(256)
        self._queue = constriction.stream.queue

    @staticmethod
    def _runs(indexes: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """Positions of a map sorted by table index, else in raster order; and (index, begin, end) in them of each."""
        flat = indexes.reshape(-1)
        counts = np.bincount(flat)
        there = np.flatnonzero(counts)
        ends = counts[there].cumsum().tolist()
        return np.argsort(flat, kind="stable"), list(zip(there.tolist(), [0, *ends[:-1]], ends, strict=True))

    def encode(self, latents: Maps, indexes: Maps, kinds: Sequence[int]) -> bytes:
        """Latent maps (H, W) of -127..127, the table index of each latent (uint8), the kind of each map -> bytes."""
        coder = self._queue.RangeEncoder()
        groups = self._shifts.there(indexes, kinds)
        best = self._shifts.best(map(_symbols, latents), indexes, kinds, groups, self.frequencies)
        coder.encode((best + scale_offsets.LIMIT).astype(np.int32), self._shift)
        shifted = self._shifts.shifted(groups, best)
        for latent_map, index_map, kind in zip(latents, indexes, kinds, strict=True):
            symbols = _symbols(latent_map)
            order, runs = self._runs(shifted[kind].take(index_map))
            in_order = symbols[order]
            for index, begin, end in runs:
                coder.encode(in_order[begin:end], self._models[index])
            escaped = latent_map.reshape(-1)[symbols == ESCAPE].astype(np.int32)
            if len(escaped):
                coder.encode(escaped + _RAW_OFFSET, self._raw)
        return _shortest(coder.get_compressed(), *coder.pos())

    def decode(self, data: bytes, indexes: Maps, kinds: Sequence[int], cut: bool = False) -> Iterator[np.ndarray]:
        """The inverse of ``encode``: the latent maps, int8, in order. cut: the data is only the beginning; then those
        maps come that are the same however it goes on. Raises CdrError for invalid data."""
        decoder, models = self._decoder(data, b"\0", 0), self._models
        decode = partial(_agreed, [decoder, self._decoder(data, b"\xff", WORDS_BEHIND)]) if cut else decoder.decode
        try:
            groups = self._shifts.there(indexes, kinds)
            shifted = self._shifts.shifted(groups, decode(self._shift, len(groups)) - scale_offsets.LIMIT)
            for index_map, kind in zip(indexes, kinds, strict=True):
                flat = np.empty(index_map.size, np.int8)
                order, runs = self._runs(shifted[kind].take(index_map))
                symbols = [decode(models[index], end - begin) for index, begin, end in runs]
                flat[order] = np.concatenate(symbols, dtype=np.int8, casting="unsafe") - LARGEST  # a byte holds them
                if flat.max() == ESCAPE - LARGEST:
                    escaped = flat == ESCAPE - LARGEST
                    flat[escaped] = decode(self._raw, int(escaped.sum())) - _RAW_OFFSET
                yield flat.reshape(index_map.shape)
        except _Undetermined:
            return
        except AssertionError as error:  # constriction's word for a point outside the range
            raise CdrError("its latents cannot be decoded: it was not made by a cdraw encoder") from error

    def _decoder(self, data: bytes, fill: bytes, words: int) -> Any:
        """A range decoder whose last word is completed by ``fill`` bytes, with so many words of them behind it."""
        padded = data + fill * (-len(data) % 4 + 4 * words)
        return self._queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))

    def sample(self, indexes: np.ndarray, seed: int, step: int) -> np.ndarray:
        """Latents drawn from the prior: int32, shaped like ``indexes``; the same on every machine."""
        raw = np.random.Philox(key=seed, counter=[0, 0, 0, step]).random_raw(indexes.size)
        uniform = (raw >> np.uint64(64 - PRECISION)).astype(np.int64)
        cumulative = self.frequencies.cumsum(1)
        latents = np.empty(indexes.size, dtype=np.int32)
        order, runs = self._runs(indexes)
        drawn = uniform[order]
        for index, begin, end in runs:
            drawn[begin:end] = np.searchsorted(cumulative[index], drawn[begin:end], side="right")
        latents[order] = drawn - LARGEST
        return latents.reshape(indexes.shape)
