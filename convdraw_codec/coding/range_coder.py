"""Symbols <-> bytes: range coding with constriction under stored integer tables, the most valuable symbols first.

The row of a symbol names its distribution: 32 frequencies that sum to 2**24, of the symbols -15..15 and of an escape.
Rows come in a given order, that of falling slope in the steps of the model, and the symbols of one row in raster order:
one call of the coder for each row makes it fast, and a segment that is cut short holds what mattered most. Escaped
symbols follow their row, of equal odds each.

Half of all symbols are of quiet rows, which say that 0 is next to certain. Those are not sorted: they come last, all of
them in raster order, in groups: a bit says whether all of a group are 0, and only what that leaves open is coded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import CdrError
from ..format.constants import ESCAPE, LARGEST, PRECISION, SYMBOLS

WORDS_BEHIND = 4  # while decoders agree, they look at no more than two words behind the data
CHUNK = 2**22  # symbols that are sorted at a time
RAW_OFFSET = 256  # escaped symbols lie from -256 to 255
QUIET = 2**13  # a row is quiet if it leaves no more than this to other symbols than 0
GROUP = 64  # symbols of quiet rows
PIECE = 2**12  # symbols of a row that are taken at a time from a segment that was cut


class _Undetermined(Exception):
    """The data ends before the next symbols. symbols: those that it still determines."""

    def __init__(self, symbols: np.ndarray):
        super().__init__(symbols)
        self.symbols = symbols


def _agreed(decoders: Sequence[Any], model: Any) -> np.ndarray:
    """The next symbols, one by one, as long as both decoders find the same."""
    found = list[int]()
    while True:
        try:
            one, other = (decoder.decode(model) for decoder in decoders)
        except AssertionError:
            one, other = 0, 1
        if one != other:
            return np.array(found, np.int32)
        found.append(one)


def _shortest(words: np.ndarray, position: int, state: tuple[int, int]) -> bytes:
    """Flush with the fewest bytes: a decoder reads zeros behind them. Any number in [lower, lower + span) decodes the
    same; take the one with most trailing zero bytes. state: lower and span, in the two words from ``position`` on."""
    lower, span = state
    point = int.from_bytes(words.astype(">u4").tobytes().ljust(4 * (position + 2), b"\0"), "big")
    lowest = point - (point - lower) % 2**64  # with the words before them
    highest = lowest + span - 1
    rounded = next(x for x in (highest >> n << n for n in range(64, -1, -8)) if x >= lowest)
    return rounded.to_bytes(4 * (position + 2), "big").rstrip(b"\0")


class _Order:
    """Where symbols stand if those of each row lie together, but for those of quiet rows: chunk by chunk, to save
    memory. rows: (symbols,) uint8 or uint16. quiet: the rows that are, (rows,) bool."""

    def __init__(self, rows: np.ndarray, quiet: np.ndarray):
        self._starts = range(0, max(len(rows), 1), CHUNK)
        chunks = [rows[first:first + CHUNK] for first in self._starts]
        counts = np.array([np.bincount(chunk, minlength=len(quiet)) for chunk in chunks])
        counts[:, quiet] = 0
        there = counts.any(0)
        last = int(there.sum())  # where it is small, ranks are bytes, which are sorted in half the time
        ranks = np.where(there, there.cumsum() - 1, last).astype(np.uint8 if last < 256 else np.uint16)
        self.quiet, self._sorting = np.empty(len(rows), bool), list[np.ndarray]()
        for first, chunk in zip(self._starts, chunks, strict=True):
            rank: np.ndarray = ranks.take(chunk)  # twice as fast as ranks[chunk]
            self.quiet[first:first + CHUNK] = rank == last
            loud = np.flatnonzero(rank < last)
            order = np.argsort(rank.take(loud), kind="stable")
            order = loud.take(order) if len(loud) < len(chunk) else order
            self._sorting.append(order.astype(np.int32) if len(chunks) > 1 else order)
        self.counts = counts.sum(0)
        ends = counts.sum(1).cumsum()
        self._ends = counts.cumsum(1) + (ends - counts.sum(1))[:, None]
        self._begins = self._ends - counts

    def sorted(self, symbols: np.ndarray) -> np.ndarray:
        """Symbols in raster order -> those of each row together, in each chunk."""
        chunks = [symbols[first:first + CHUNK][order] for first, order in zip(self._starts, self._sorting, strict=True)]
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def raster(self, symbols: np.ndarray, quiet: np.ndarray) -> np.ndarray:
        """The inverse of ``sorted``, with those of quiet rows."""
        result, begin = np.zeros(len(self.quiet), symbols.dtype), 0
        if len(there := np.flatnonzero(quiet)):  # few
            result[np.flatnonzero(self.quiet)[there]] = quiet[there]
        for first, order in zip(self._starts, self._sorting, strict=True):
            result[first:first + CHUNK][order] = symbols[begin:begin + len(order)]
            begin += len(order)
        return result

    def of_row(self, symbols: np.ndarray, row: int) -> np.ndarray:
        """What ``sorted`` gives, of one row."""
        parts = [symbols[begin:end] for begin, end in zip(self._begins[:, row], self._ends[:, row], strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def put(self, symbols: np.ndarray, row: int, found: np.ndarray) -> None:
        """Write the first symbols of one row among those that ``sorted`` gives."""
        for begin, end in zip(self._begins[:, row], self._ends[:, row], strict=True):
            count = min(end - begin, len(found))
            symbols[begin:begin + count], found = found[:count], found[count:]


def _groups(symbols: np.ndarray) -> np.ndarray:
    """Symbols in groups, the last of which ends in zeros: (groups, 64)."""
    return np.pad(symbols, (0, -len(symbols) % GROUP)).reshape(-1, GROUP)


def _quiet_frequencies() -> np.ndarray:
    """Of symbols in quiet groups that are not all 0: 63/64 for 0, and halves of what is left from one magnitude to the
    next."""
    halves = 2 ** (17 - np.arange(1, LARGEST + 1))
    return np.concatenate([halves[::-1], [2**PRECISION - 2**18], halves, [8]])


class SymbolCoder:
    """Codes symbols under a table of frequencies: (rows, 32) whole numbers, each row summing to 2**24, 0 for
    what a row cannot have. order: its rows, in that in which they are sent."""

    def __init__(self, frequencies: np.ndarray, order: np.ndarray):
        import constriction  # here, since it takes time

        self.frequencies = np.asarray(frequencies, np.int64)
        self._quiet = self.frequencies[:, LARGEST] >= 2**PRECISION - QUIET
        self._order = order[~self._quiet[order]].tolist()
        self._inside = len(order)  # a further row, of what is in quiet groups that are not all 0
        tables = np.concatenate([self.frequencies, _quiet_frequencies()[None]])
        self._first = (tables > 0).argmax(1) - LARGEST  # the smallest symbol of each row
        self._models, self._sizes = [], []
        for row in tables:
            can = np.flatnonzero(row)
            # constriction gives every symbol 1 and shares out the rest: with frequency - 1 nothing is left to round
            counts = (row[can[0]:can[-1] + 1] - 1).astype(np.float64)
            self._models.append(constriction.stream.model.Categorical(counts, perfect=False))
            self._sizes.append(len(counts))
        self._raw = constriction.stream.model.Uniform(2 * RAW_OFFSET)
        counts = np.array([2.0**PRECISION - 2**18, 2**18]) - 1
        self._any = constriction.stream.model.Categorical(counts, perfect=False)  # whether a quiet group is not all 0
        self._queue = constriction.stream.queue

    def encode(self, symbols: np.ndarray, rows: np.ndarray) -> bytes:
        """Symbols -255..255 and the row of each, (symbols,) uint8 or uint16 -> bytes."""
        coder, order = self._queue.RangeEncoder(), _Order(rows, self._quiet)
        together, groups = order.sorted(symbols), _groups(symbols[order.quiet])
        for row in self._order:
            if order.counts[row]:
                self._encode_row(coder, row, order.of_row(together, row))
        if len(groups):
            loud = groups.any(1)
            coder.encode(loud.astype(np.int32), self._any)
            self._encode_row(coder, self._inside, groups[loud].reshape(-1))
        return _shortest(coder.get_compressed(), *coder.pos())

    def _encode_row(self, coder: Any, row: int, symbols: np.ndarray) -> None:
        sent = symbols.astype(np.int32)
        escaped = sent[np.abs(sent) > LARGEST]
        sent = np.where(np.abs(sent) > LARGEST, ESCAPE - LARGEST, sent) if len(escaped) else sent
        coder.encode((sent - self._first[row]).astype(np.int32), self._models[row])
        if len(escaped):
            coder.encode(escaped + RAW_OFFSET, self._raw)

    def decode(self, data: bytes, rows: np.ndarray, cut: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """The inverse of ``encode``: the symbols, int16, and where they are known, None for everywhere.

        cut: the data is only the beginning; then those are known that are the same however it goes on. Raises CdrError
        for what no encoder made.
        """
        take = self._cut_reader(data) if cut else self._decoder(data, b"\0", 0).decode
        order, over = _Order(rows, self._quiet), False
        together, known = np.zeros(order.counts.sum(), np.int16), np.zeros(order.counts.sum(), bool)
        quiet = np.count_nonzero(order.quiet)
        groups = _groups(np.zeros(quiet, np.int16))
        sure = np.zeros(groups.shape, bool)
        try:
            for row in self._order:
                if count := int(order.counts[row]):
                    found, over = self._row(take, row, count)
                    order.put(together, row, found)
                    if cut:
                        order.put(known, row, np.ones(len(found), bool))
                    if over:
                        break
            if len(groups) and not over:
                self._take_groups(take, groups, sure)
        except AssertionError as error:  # constriction's word for a point outside the range
            raise CdrError("its latents cannot be decoded: it was not made by a cdraw encoder") from error
        symbols = order.raster(together, groups.reshape(-1)[:quiet])
        return symbols, order.raster(known, sure.reshape(-1)[:quiet]) if cut else None

    def _take_groups(self, take: Callable[[Any, int], np.ndarray], groups: np.ndarray, sure: np.ndarray) -> None:
        """Fill in the symbols of quiet groups, and which of them are determined."""
        over = False
        try:
            loud = take(self._any, len(groups))
        except _Undetermined as end:
            loud, over = end.symbols, True
        sure[:len(loud)] = loud[:, None] == 0
        there = np.flatnonzero(loud)
        if len(there) and not over:
            found, _ = self._row(take, self._inside, GROUP * len(there))
            inside = np.zeros(GROUP * len(there), np.int16)
            inside[:len(found)] = found
            groups[there] = inside.reshape(-1, GROUP)
            sure[there] = (np.arange(len(inside)) < len(found)).reshape(-1, GROUP)

    def _row(self, take: Callable[[Any, int], np.ndarray], row: int, count: int) -> tuple[np.ndarray, bool]:
        """The symbols of a row, as far as they are determined, and whether that is not all of them."""
        over = False
        try:
            found = take(self._models[row], count)
        except _Undetermined as end:
            found, over = end.symbols, True
        found = found + self._first[row]
        if self._sizes[row] == SYMBOLS and len(found):
            escaped = np.flatnonzero(found == ESCAPE - LARGEST)
            if len(escaped):
                if over:
                    return found[:escaped[0]], True
                try:
                    found[escaped] = take(self._raw, len(escaped)) - RAW_OFFSET
                except _Undetermined as end:
                    found[escaped[:len(end.symbols)]] = end.symbols - RAW_OFFSET
                    return found[:escaped[len(end.symbols)]], True
        return found, over

    def _decoder(self, data: bytes, fill: bytes, words: int) -> Any:
        """A range decoder whose last word is completed by ``fill`` bytes, with so many words of them behind it."""
        padded = data + fill * (-len(data) % 4 + 4 * words)
        return self._queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))

    def _cut_reader(self, data: bytes) -> Callable[[Any, int], np.ndarray]:
        """What takes the symbols that two decoders agree on, which read the least and the most that may follow: an
        interval holds all that lies between two of its points."""
        decoders = self._decoder(data, b"\0", 0), self._decoder(data, b"\xff", WORDS_BEHIND)

        def take(model: Any, count: int) -> np.ndarray:
            parts = [np.empty(0, np.int32)]
            for first in range(0, count, PIECE):
                here = [decoder.clone() for decoder in decoders]
                try:
                    symbols, others = (decoder.decode(model, min(PIECE, count - first)) for decoder in decoders)
                    differ = int(np.argmin(symbols == others)) if (symbols != others).any() else len(symbols)
                except AssertionError:  # beyond where they part, either may meet a point outside the range
                    symbols = _agreed(here, model)
                    differ = len(symbols)
                parts.append(symbols[:differ])
                if differ < min(PIECE, count - first):
                    raise _Undetermined(np.concatenate(parts))
            return np.concatenate(parts)

        return take

    def sample(self, rows: np.ndarray, seed: int, step: int) -> np.ndarray:
        """Symbols drawn from the prior: int16, shaped like ``rows``; the same on every machine."""
        raw = np.random.Philox(key=seed, counter=[0, 0, 0, step]).random_raw(rows.size)
        uniform = (raw >> np.uint64(64 - 24)).astype(np.int64)
        cumulative, order = self.frequencies.cumsum(1), _Order(rows.reshape(-1), np.zeros_like(self._quiet))
        together = order.sorted(uniform)
        drawn = np.empty(len(together), np.int16)
        for row in np.flatnonzero(order.counts).tolist():
            of_row = order.of_row(together, row)
            found = np.searchsorted(cumulative[row], of_row, side="right") - LARGEST
            order.put(drawn, row, found.astype(np.int16))
        return order.raster(drawn, np.empty(0, np.int16)).reshape(rows.shape)
