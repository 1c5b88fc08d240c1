"""One picture in progress: its pixels become segments (``Encoding``), its segments become pixels (``Decoding``).

A session owns all memory of its picture. As the residual steps begin, those of the model give theirs back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import CdrError
from ..format.bitstream import Header
from ..network.convolution import Convolver
from ..network.model import Model
from ..network.prior import State
from ..network.tables import LATE, symbol_counts
from .canvas import Canvas, symbols_of
from .lossless import RESIDUAL_LIMIT, ExactPixels
from .range_coder import SymbolCoder
from .source import Latents


@dataclass(frozen=True)
class Network:
    """A model, what computes its convolutions, and its range coders, which are made when they are needed."""

    model: Model
    convolve: Convolver
    _coders: dict[int, SymbolCoder] = field(default_factory=dict)

    def symbols(self, t: int) -> SymbolCoder:
        """The range coder of step t. Each pass has one."""
        model, number = self.model, self.model.config.passes.index(self.model.config.pass_of(t))
        if number not in self._coders:
            self._coders[number] = SymbolCoder(model.frequencies[number], model.slopes)
        return self._coders[number]

    @cached_property
    def residuals(self) -> SymbolCoder:
        """That of the residual steps, whose rows come in the order of their numbers."""
        frequencies = self.model.residual_frequencies
        return SymbolCoder(frequencies, np.arange(len(frequencies), 0, -1))

    @property
    def steps(self) -> int:
        """Of the model, without residual steps."""
        return len(self.model.config.steps)


@dataclass(frozen=True)
class Part:
    """Some symbols of step t: of a strip, rows of positions. held: which of them a segment holds, (rows, W/s, last -
    first) bool; None for all. late: which are left to the end of the pass; None for none. again: others of that strip
    were taken before."""

    t: int
    strip: slice
    held: np.ndarray | None
    late: np.ndarray | None
    again: bool = False

    @property
    def _places(self) -> np.ndarray:
        """Of those that a segment holds, in raster order, if that is not all."""
        assert self.held is not None
        return np.flatnonzero(self.held)

    def flat(self, numbers: np.ndarray) -> np.ndarray:
        """Those of the symbols that a segment holds, in raster order, of (rows, W/s, last - first)."""
        return numbers.reshape(-1) if self.held is None else numbers.take(self._places)  # faster than a mask

    def shaped(self, numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The inverse, 0 for others."""
        if self.held is None:
            return numbers.reshape(shape)
        result = np.zeros(shape, numbers.dtype)
        result.reshape(-1)[self._places] = numbers
        return result


def estimated(session: Session) -> np.ndarray:
    """The likeliest picture, (3, H, W) uint8."""
    return shown(session, estimated=True)


def drawn(session: Session, *, total: int, seed: int) -> np.ndarray:
    """The likeliest picture where the steps up to ``total`` are a sample of the prior, (3, H, W) uint8. The session
    cannot go on."""
    session.draw(total, seed)
    return estimated(session)


def shown(session: Session, *, estimated: bool) -> np.ndarray:
    """The likeliest picture, or what the middles of cells make, (3, H, W) uint8."""
    return session.canvas.shown(session.last_begun, session.header.colours, session.network.convolve,
                                estimated=estimated)


class Session:
    """What is known of a picture after some steps. header: its size, mode and colours."""

    def __init__(self, network: Network, header: Header):
        self.network, self.header, self.grey = network, header, header.grey
        model, multiple = network.model, network.model.padding
        height, width = header.height + -header.height % multiple, header.width + -header.width % multiple
        self._canvas: Canvas | None = Canvas(model, height, width)
        self.states = model.prior.start(height, width)
        self._begun = 0  # steps, the last one perhaps in part
        self._rows: dict[int, list[tuple[slice, np.ndarray]]] = {}  # of the steps whose symbols are not all known
        self._exact: ExactPixels | None = None

    @property
    def canvas(self) -> Canvas:
        """Until the residual steps."""
        assert self._canvas is not None
        return self._canvas

    def predict(self, t: int) -> Iterator[tuple[slice, np.ndarray]]:
        """The row of each symbol of step t, (rows, W/s, last - first) uint16, strip by strip, up to the last one."""
        model, canvas, convolve = self.network.model, self.canvas, self.network.convolve
        layer = model.config.steps[t].layer
        if model.config.steps[t].forecast:
            canvas.expect(t, convolve)
        low, expected = canvas.transform.low(layer), canvas.expected[layer]
        return model.prior.step(t, self.states, canvas.logarithms[layer], low, expected, convolve)

    def parts(self, t: int) -> Iterator[tuple[Part, np.ndarray]]:
        """What the segment of step t holds, and the rows of the symbols: the early ones; at the end of a pass, first
        what its other steps have left, then all. To be taken up to the last one."""
        model, ends = self.network.model, self._ends_pass(t)
        for earlier, still in self.canvas.open.items() if ends else ():
            for strip, rows in self._rows[earlier]:
                yield Part(earlier, strip, still[strip], None, again=True), rows
        luma = self.luma(t)
        for strip, rows in self.predict(t):
            held, late = None if luma.all() else np.broadcast_to(luma, rows.shape), None
            if not ends:
                late = luma & (model.slopes <= LATE).take(rows)
                held = luma & ~late
                self._rows.setdefault(t, []).append((strip, rows))
            yield Part(t, strip, held, late), rows

    def take(self, t: int, parts: Iterable[tuple[Part, np.ndarray, np.ndarray | None]]) -> None:
        """Take the symbols of all parts of the segment of step t, 0 where it holds none, those that are sure, (rows,
        W/s, last - first) bool; None for all."""
        whole = True
        for part, symbols, sure in parts:
            still = part.late
            if sure is not None:
                missing = ~sure if part.held is None else part.held & ~sure
                still = missing if still is None else still | missing
                symbols, whole = symbols * sure, False
            if part.again:
                self.canvas.complete(part.t, part.strip, symbols, still)
            else:
                self.canvas.take(part.t, part.strip, symbols, still)
        self._begun = t + 1
        if whole and self._ends_pass(t):
            self._rows.clear()
            self.canvas.open.clear()

    def _ends_pass(self, t: int) -> bool:
        return t + 1 == self.network.model.config.pass_of(t).stop

    def exact(self) -> ExactPixels:
        """From the first residual step on."""
        if self._exact is None:
            self._exact = ExactPixels(self.network.model, self.network.convolve, self.pixels(), grey=self.grey)
            self._canvas, self.states = None, list[State]()
        return self._exact

    def pixels(self, show: Callable[[Session], np.ndarray] = estimated) -> np.ndarray:
        """What is shown of everything so far, (3, H, W) uint8: by a function of the canvas, until residual steps make
        it exact."""
        return show(self) if self._exact is None else self._exact.pixels()

    @property
    def last_begun(self) -> int:
        """The number of the last step, which may have been taken in part."""
        return max(self._begun - 1, 0)

    def draw(self, total: int, seed: int) -> None:
        """Take what is not stored, up to the step ``total``, as drawn from the prior. The session cannot go on."""
        def drawn(t: int, strips: Iterable[tuple[slice, np.ndarray]]) -> np.ndarray:
            symbols = self.network.symbols(t).sample(np.concatenate([rows for _, rows in strips]), seed, t)
            return self.canvas.turned(t, slice(None), symbols * self.luma(t))

        for t, still in self.canvas.open.items():
            self.canvas.complete(t, slice(None), drawn(t, self._rows[t]) * still)
        self.canvas.open.clear()
        for t in range(self._begun, total):
            self.canvas.take(t, slice(None), drawn(t, self.predict(t)))
            self._begun = t + 1

    def luma(self, t: int) -> np.ndarray:
        """Which symbols of a position a file holds, (last - first,) bool."""
        luma = self.network.model.luma(t)
        return luma if self.grey else np.ones_like(luma)


class Encoding(Session):
    """planes: of the picture, (3, H, W) uint8, padded to multiples of the model's padding. keep: whether they stay, for
    residual steps, or to be compared with what is shown."""

    def __init__(self, network: Network, header: Header, planes: np.ndarray, *, keep: bool):
        super().__init__(network, header)
        self._planes = planes if keep else None
        self._latents = Latents(network.model, planes, header.colours)

    @property
    def planes(self) -> np.ndarray:
        """Of the picture, if they were kept."""
        assert self._planes is not None
        return self._planes

    def segments(self, steps: int) -> Iterator[bytes]:
        """The segment of each step, as it is made."""
        yield from map(self._step, range(min(steps, self.network.steps)))
        yield from map(self._residual_step, range(steps - self.network.steps))

    def _step(self, t: int) -> bytes:
        parts = list[Part]()
        segment = self.network.symbols(t).encode(self._coded(t, parts))
        self._take(t, parts)
        return segment

    def count(self, t: int) -> np.ndarray:
        """Take step t without a segment: ``tables.symbol_counts`` of what it would hold."""
        parts = list[Part]()
        counts = np.sum([symbol_counts(*each) for each in self._coded(t, parts)], axis=0)
        self._take(t, parts)
        return counts

    def _take(self, t: int, parts: list[Part]) -> None:
        self.take(t, ((part, self._symbols(part), None) for part in parts))

    def _coded(self, t: int, parts: list[Part]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The symbols and rows of the segment of step t, part by part, which it adds to ``parts``."""
        for part, rows in self.parts(t):
            parts.append(part)
            turned = self.canvas.turned(part.t, part.strip, self._symbols(part))
            yield part.flat(turned), part.flat(rows)

    def _symbols(self, part: Part) -> np.ndarray:
        """Those that a segment holds, 0 for the others."""
        known, first = self.canvas.of_step(part.t)[part.strip], self.network.model.config.seen_first(part.t)
        symbols = symbols_of(known, self._latents.of_step(part.t, part.strip), first)
        return symbols if part.held is None else symbols * part.held

    def _residual_step(self, i: int) -> bytes:
        exact = self.exact()
        if not exact.sends(i):
            return b""
        rows = exact.predict(i)
        residuals = exact.choose(i, self.planes, self.header.width, self.header.height)
        exact.draw(i, residuals)
        return self.network.residuals.encode([(residuals.reshape(-1), rows.reshape(-1))])


class Decoding(Session):
    """Reads the segments of a file. header: of the file."""

    def steps(self, segments: Iterable[bytes]) -> Iterator[int]:
        """Take step after step; the number of steps after each one. Raises CdrError for invalid data."""
        segments = iter(segments)
        for t, segment in enumerate(itertools.islice(segments, self.network.steps)):
            self._step(t, segment, cut=t == self.header.steps)
            yield t + 1
        for i, segment in enumerate(segments):
            self._residual_step(i, segment, cut=self.network.steps + i == self.header.steps)
            yield self.network.steps + i + 1

    def _step(self, t: int, segment: bytes, cut: bool) -> None:
        parts, rows = zip(*self.parts(t), strict=True)
        flat = [part.flat(each) for part, each in zip(parts, rows, strict=True)]
        found = self.network.symbols(t).decode(segment, flat, cut)
        self.take(t, ((part, self.canvas.turned(part.t, part.strip, part.shaped(symbols, each.shape)),
                       None if known is None else part.shaped(known, each.shape))
                      for part, each, (symbols, known) in zip(parts, rows, found, strict=True)))
        if cut:
            self._rows[t] = [(part.strip, each) for part, each in zip(parts, rows, strict=True) if not part.again]

    def _residual_step(self, i: int, segment: bytes, cut: bool) -> None:
        exact = self.exact()
        if exact.sends(i):
            rows = exact.predict(i)
            [(residuals, known)] = self.network.residuals.decode(segment, [rows.reshape(-1)], cut)
            if np.abs(residuals).max(initial=0) > RESIDUAL_LIMIT:
                raise CdrError(f"step {self.network.steps + i + 1} holds a residual beyond {RESIDUAL_LIMIT}: it was "
                               "not made by a cdraw encoder")
            there = None if known is None else known.reshape(rows.shape)
            exact.draw(i, residuals.reshape(rows.shape), there)
        elif segment:
            raise CdrError(f"step {self.network.steps + i + 1} holds colour, and the picture is grey")
