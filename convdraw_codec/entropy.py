"""Latents <-> bytes: range coding with constriction under stored integer tables.

A distribution is a row of 32 frequencies that sum to 2**24: the latents -15..15, then an escape. Latent maps
are coded one after another; within a map, positions are grouped by row (raster order within a group), since
one call of the coder per distribution is what makes it fast. Escaped latents follow their map as plain bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from .errors import CdrError

PRECISION = 24
LARGEST = 15  # largest magnitude with a symbol of its own
ESCAPE = 2 * LARGEST + 1
SYMBOLS = ESCAPE + 1
WORDS_BEHIND = 4  # while decoders agree, they look at no more than two words behind the data
_RAW_OFFSET = 128


class _Undetermined(Exception):
    """The data ends before the next group of symbols."""


def _agreed(decoders: list, model, count: int) -> np.ndarray:
    """The next symbols, if both decoders find the same: an interval holds all that lies between two of its points."""
    try:
        symbols, others = (decoder.decode(model, count) for decoder in decoders)
    except AssertionError as error:  # beyond where they part, either may meet a point outside the range
        raise _Undetermined from error
    if not np.array_equal(symbols, others):
        raise _Undetermined
    return symbols


class LatentCoder:
    """Codes whole latents under a table of frequencies.

    frequencies: (rows, 32) whole numbers >= 1, each row summing to 2**24; at most 256 rows.
    """

    def __init__(self, frequencies: np.ndarray):
        import constriction  # here, since training needs the constants above but no coder

        frequencies = np.asarray(frequencies, dtype=np.int64)
        if (frequencies.ndim != 2 or frequencies.shape[1] != SYMBOLS or not 1 <= len(frequencies) <= 256
                or (frequencies < 1).any() or (frequencies.sum(1) != 1 << PRECISION).any()):
            raise ValueError(f"a table has up to 256 rows of {SYMBOLS} positive numbers that sum to 2**{PRECISION}")
        self.frequencies = frequencies
        # constriction gives every symbol 1 and shares out the rest: with frequency - 1 nothing is left to round
        self._models = [constriction.stream.model.Categorical((row - 1).astype(np.float64), perfect=False)
                        for row in frequencies]
        self._raw = constriction.stream.model.Uniform(256)
        self._queue = constriction.stream.queue

    @staticmethod
    def _groups(rows: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """The positions of a map sorted by row, else in raster order; and (row, begin, end) in them of every row."""
        flat = rows.reshape(-1)
        counts = np.bincount(flat)
        there, ends = np.flatnonzero(counts), np.cumsum(counts)
        groups = zip(there.tolist(), (ends - counts)[there].tolist(), ends[there].tolist(), strict=True)
        return np.argsort(flat, kind="stable"), list(groups)

    def encode(self, latents: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> bytes:
        """Latent maps (H, W), whole numbers of magnitude <= 127, and the row of each latent (uint8) -> bytes."""
        coder = self._queue.RangeEncoder()
        for latent_map, row_map in zip(latents, rows, strict=True):
            flat = latent_map.reshape(-1).astype(np.int32)
            symbols = np.where(np.abs(flat) > LARGEST, ESCAPE, flat + LARGEST).astype(np.int32)
            order, groups = self._groups(row_map)
            in_order = symbols[order]
            for row, begin, end in groups:
                coder.encode(in_order[begin:end], self._models[row])
            escaped = flat[symbols == ESCAPE]
            if len(escaped):
                coder.encode((escaped + _RAW_OFFSET).astype(np.int32), self._raw)
        # big-endian words: what may be left out at the end are zero bytes, which the decoder supplies
        return coder.get_compressed().astype(">u4").tobytes().rstrip(b"\0")

    def decode(self, data: bytes, rows: Sequence[np.ndarray], cut: bool = False) -> Iterator[np.ndarray]:
        """The inverse of ``encode``: the latent maps, int8, in order.

        cut: the data is only the beginning of what ``encode`` gave. Then those maps come that are the same however
        it goes on. Raises CdrError for invalid data.
        """
        decoder, models = self._decoder(data, b"\0", 0), self._models
        decode = partial(_agreed, [decoder, self._decoder(data, b"\xff", WORDS_BEHIND)]) if cut else decoder.decode
        try:
            for row_map in rows:
                flat = np.empty(row_map.size, np.int8)
                order, groups = self._groups(row_map)
                symbols = [decode(models[row], end - begin) for row, begin, end in groups]
                flat[order] = np.concatenate(symbols) - LARGEST
                escaped = flat == ESCAPE - LARGEST
                if escaped.any():
                    flat[escaped] = decode(self._raw, int(escaped.sum())) - _RAW_OFFSET
                yield flat.reshape(row_map.shape)
        except _Undetermined:
            return
        except AssertionError as error:  # constriction's word for a point outside the range
            raise CdrError("its latents cannot be decoded: it was not made by a cdraw encoder") from error

    def _decoder(self, data: bytes, fill: bytes, words: int):
        """A range decoder whose last word is completed by ``fill`` bytes, with so many words of them behind it."""
        padded = data + fill * (-len(data) % 4 + 4 * words)
        return self._queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))

    def sample(self, rows: np.ndarray, seed: int, step: int) -> np.ndarray:
        """Latents drawn from the prior: int32, shaped like ``rows``; the same on every machine."""
        raw = np.random.Philox(key=seed, counter=[0, 0, 0, step]).random_raw(rows.size)
        uniform = (raw >> np.uint64(64 - PRECISION)).astype(np.int64)
        cumulative = self.frequencies.cumsum(1)
        latents = np.empty(rows.size, dtype=np.int32)
        order, groups = self._groups(rows)
        drawn = uniform[order]
        for row, begin, end in groups:
            drawn[begin:end] = np.searchsorted(cumulative[row], drawn[begin:end], side="right")
        latents[order] = drawn - LARGEST
        return latents.reshape(rows.shape)
