"""Symbols <-> bytes: range coding with constriction under stored integer tables, the most valuable symbols first.

The row of a symbol names its distribution: 32 frequencies that sum to 2**24, of the symbols -15..15 and of an escape.
Rows come in the order of falling slope, and the symbols of one row in raster order: one call of the coder for each row
makes it fast, and a segment that is cut short holds what mattered most. Escaped symbols follow their row, of equal odds
each.

Half of all symbols are of quiet rows, which say that 0 is next to certain. Those are not sorted: they come last, all of
them in raster order, in groups: a bit says whether all of a group are 0, and only what that leaves open is coded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CdrError
from ..format.constants import ESCAPE, LARGEST, PRECISION, SYMBOLS

WORDS_BEHIND = 4  # while decoders agree, they look at no more than two words behind the data
RAW_OFFSET = 256  # escaped symbols lie from -256 to 255
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


class _ByRow:
    """Some symbols of a step, those of each row together, but for those of quiet rows, of which there are ``still``.
    rows: of each symbol, (symbols,) uint8 or uint16. quiet: the rows that are."""

    def __init__(self, rows: np.ndarray, quiet: np.ndarray, *, cut: bool = False):
        self.counts = np.bincount(rows, minlength=len(quiet))  # of each row
        self.still = int(self.counts[quiet].sum())
        self.counts[quiet] = 0
        ends = self.counts.cumsum()
        self._ends, self._begins = ends.tolist(), (ends - self.counts).tolist()
        self.symbols = np.zeros(self._ends[-1], np.int16)
        self.known = np.zeros(len(self.symbols) if cut else 0, bool)

    def sorting(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the symbols are in raster order, and where those of quiet rows are, int64."""
        there = self.counts > 0
        last = int(there.sum())  # where it is small, ranks are bytes, which are sorted in half the time
        ranks = np.where(there, there.cumsum() - 1, last).astype(np.uint8 if last < 256 else np.uint16)
        order = np.argsort(ranks.take(rows), kind="stable")  # twice as fast as ranks[rows]
        return order[:len(self.symbols)], order[len(self.symbols):]

    def of_row(self, row: int) -> np.ndarray:
        """Its symbols: a view."""
        return self.symbols[self._begins[row]:self._ends[row]]

    def put(self, row: int, found: np.ndarray) -> np.ndarray:
        """Take the first symbols of a row; what is left of them."""
        begin, count = self._begins[row], min(self._ends[row] - self._begins[row], len(found))
        if count:
            self.symbols[begin:begin + count] = found[:count]
            if len(self.known):
                self.known[begin:begin + count] = True
        return found[count:]


def _groups(symbols: int) -> np.ndarray:
    """Room for so many symbols, (groups, 64), zeros."""
    return np.zeros((-(-symbols // GROUP), GROUP), np.int16)


def _quiet_frequencies() -> np.ndarray:
    """Of symbols in quiet groups that are not all 0: 63/64 for 0, and halves of what is left from one magnitude to the
    next."""
    halves = 2 ** (17 - np.arange(1, LARGEST + 1))
    return np.concatenate([halves[::-1], [2**PRECISION - 2**18], halves, [8]])


def _raster(order: np.ndarray, symbols: np.ndarray, others: np.ndarray, still: np.ndarray) -> np.ndarray:
    """All symbols in raster order, from ``_ByRow.sorting``, and those that it sorts and those that it does not."""
    result = np.zeros(len(order) + len(others), symbols.dtype)
    there = np.flatnonzero(still)  # few
    result[others[there]] = still[there]
    result[order] = symbols
    return result


class SymbolCoder:
    """Codes symbols under a table of frequencies: (rows, 32) whole numbers, each row summing to 2**24, 0 for
    what a row cannot have. slopes: of each row; those of large slope are sent first, and 0 says that a row is quiet."""

    def __init__(self, frequencies: np.ndarray, slopes: np.ndarray):
        import constriction  # here, since it takes time

        self.frequencies = np.asarray(frequencies, np.int64)
        self._quiet = slopes == 0
        order = np.argsort(-slopes.astype(np.int64), kind="stable")
        self._order = order[:np.count_nonzero(slopes)]
        self._inside = len(order)  # a further row, of what is in quiet groups that are not all 0
        tables = np.concatenate([self.frequencies, _quiet_frequencies()[None]])
        self._first = ((tables > 0).argmax(1) - LARGEST).tolist()  # the smallest symbol of each row
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

    def encode(self, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> bytes:
        """The symbols of a step, -255..255, and the row of each, uint8 or uint16, (symbols,), in parts, which need not
        all be there at once -> bytes."""
        loud, still, places, quiet = list[_ByRow](), 0, [np.empty(0, int)], [np.empty(0, np.int16)]
        for symbols, rows in parts:
            loud.append(part := _ByRow(rows, self._quiet))
            order, others = part.sorting(rows)
            part.symbols = symbols.take(order)
            if np.abs(part.symbols).max(initial=0) < 2**7:  # nearly always
                part.symbols = part.symbols.astype(np.int8)
            rest = symbols.take(others)
            there = np.flatnonzero(rest)  # few
            places.append(still + there)
            quiet.append(rest[there])
            still += len(rest)
        coder = self._queue.RangeEncoder()
        for row in self._present(loud):
            self._encode_row(coder, row, [part.of_row(row) for part in loud])
        if still:
            where = np.concatenate(places)
            full, group = np.unique(where // GROUP, return_inverse=True)
            inside = _groups(GROUP * len(full))
            inside[group, where % GROUP] = np.concatenate(quiet)
            coder.encode(np.isin(np.arange(-(-still // GROUP)), full).astype(np.int32), self._any)
            self._encode_row(coder, self._inside, [inside.reshape(-1)])
        return _shortest(coder.get_compressed(), *coder.pos())

    def _encode_row(self, coder: Any, row: int, parts: Iterable[np.ndarray]) -> None:
        escaped = []
        for symbols in parts:
            if len(symbols):
                sent = symbols.astype(np.int32)
                far = np.abs(sent) > LARGEST
                escaped.append(sent[far])
                sent[far] = ESCAPE - LARGEST
                sent -= self._first[row]
                coder.encode(sent, self._models[row])
        for each in escaped:
            coder.encode(each + np.int32(RAW_OFFSET), self._raw)

    def decode(self, data: bytes, rows: Sequence[np.ndarray], cut: bool = False
               ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """The inverse of ``encode``, from the rows of its parts: the symbols of each, int16, and where they are known,
        None for everywhere; one after the other, to save memory.

        cut: the data is only the beginning; then those are known that are the same however it goes on. Raises CdrError
        for what no encoder made.
        """
        take = self._cut_reader(data) if cut else self._decoder(data, b"\0", 0).decode
        parts, over = [_ByRow(each, self._quiet, cut=cut) for each in rows], False
        groups = _groups(sum(part.still for part in parts))
        sure = np.zeros((len(groups), GROUP if cut else 0), bool)
        try:
            for row, count in self._present(parts).items():
                found, over = self._row(take, row, count)
                for part in parts:
                    found = part.put(row, found)
                if over:
                    break
            if len(groups) and not over:
                self._take_groups(take, groups, sure)
        except AssertionError as error:  # constriction's word for a point outside the range
            raise CdrError("its latents cannot be decoded: it was not made by a cdraw encoder") from error
        begin = 0
        for part, each in zip(parts, rows, strict=True):
            order, others = part.sorting(each)
            still = slice(begin, begin + part.still)
            symbols = _raster(order, part.symbols, others, groups.reshape(-1)[still])
            known = _raster(order, part.known, others, sure.reshape(-1)[still]) if cut else None
            part.symbols, begin = part.symbols[:0], begin + part.still  # which takes room
            yield symbols, known

    def _present(self, parts: Sequence[_ByRow]) -> dict[int, int]:
        """The rows that are there, in the order in which they are sent, and how many symbols each has."""
        counts = np.sum([part.counts for part in parts], axis=0)[self._order]
        there = counts > 0
        return dict(zip(self._order[there].tolist(), counts[there].tolist(), strict=True))

    def _take_groups(self, take: Callable[[Any, int], np.ndarray], groups: np.ndarray, sure: np.ndarray) -> None:
        """Fill in the symbols of quiet groups, and which of them are determined."""
        over = False
        try:
            loud = take(self._any, len(groups))
        except _Undetermined as end:
            loud, over = end.symbols, True
        sure[:len(loud)] = loud[:, None] == 0  # of nothing, where all are
        there = np.flatnonzero(loud)
        if len(there) and not over:
            found, _ = self._row(take, self._inside, GROUP * len(there))
            inside = np.zeros(GROUP * len(there), np.int16)
            inside[:len(found)] = found
            groups[there] = inside.reshape(-1, GROUP)
            sure[there] = (np.arange(len(inside)) < len(found)).reshape(-1, GROUP)[:, :sure.shape[1]]

    def _row(self, take: Callable[[Any, int], np.ndarray], row: int, count: int) -> tuple[np.ndarray, bool]:
        """The symbols of a row, as far as they are determined, and whether that is not all of them."""
        over = False
        try:
            found = take(self._models[row], count)
        except _Undetermined as end:
            found, over = end.symbols, True
        if first := self._first[row]:
            found += first
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
        cumulative, none = self.frequencies.cumsum(1), np.zeros_like(self._quiet)
        part = _ByRow(rows.reshape(-1), none)
        order, others = part.sorting(rows.reshape(-1))
        part.symbols = uniform.take(order)
        for row in np.unique(rows).tolist():
            part.put(row, np.searchsorted(cumulative[row], part.of_row(row), side="right") - LARGEST)
        return _raster(order, part.symbols, others, np.empty(0, int)).reshape(rows.shape).astype(np.int16)
