"""One picture in progress: its pixels become segments (``Encoding``), its segments become pixels (``Decoding``).

A session owns all memory of its picture. As the residual steps begin, those of the model give theirs back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import CdrError
from ..format.bitstream import Header
from ..network.convolution import Convolver
from ..network.model import Model
from ..network.prior import State
from ..options import Fill
from .canvas import Canvas, symbols_of
from .lossless import RESIDUAL_LIMIT, ExactPixels
from .range_coder import SymbolCoder
from .source import Latents


@dataclass(frozen=True)
class Network:
    """A model, what computes its convolutions, and the range coders of its symbols and of its residuals."""

    model: Model
    convolve: Convolver
    symbols: SymbolCoder
    residuals: SymbolCoder

    @property
    def steps(self) -> int:
        """Of the model, without residual steps."""
        return len(self.model.config.steps)


class Session:
    """What is known of a picture after some steps. header: its size, mode and colours."""

    def __init__(self, network: Network, header: Header):
        self.network, self.header, self.grey = network, header, header.grey
        model, multiple = network.model, network.model.padding
        height, width = header.height + -header.height % multiple, header.width + -header.width % multiple
        self._canvas: Canvas | None = Canvas(model, height, width)
        self._states = model.prior.start(height, width)
        self._begun = 0  # steps, the last one perhaps in part
        self._missing: tuple[np.ndarray, ...] | None = None  # of that step: what was known, rows, symbols, and where
        self._exact: ExactPixels | None = None

    @property
    def canvas(self) -> Canvas:
        """Until the residual steps."""
        assert self._canvas is not None
        return self._canvas

    def predict(self, t: int) -> np.ndarray:
        """The row of each symbol of step t, (H/s, W/s, last - first) uint16."""
        model, canvas, convolve = self.network.model, self.canvas, self.network.convolve
        layer = model.config.steps[t].layer
        if model.config.steps[t].forecast:
            canvas.expect(t, convolve)
        return model.prior.step(t, self._states, canvas.logarithms[layer], canvas.low(layer), canvas.expected[layer],
                                convolve)

    def take(self, t: int, symbols: np.ndarray, there: np.ndarray | None = None) -> None:
        """Take the symbols of step t, where they are ``there``, after ``predict``."""
        self.canvas.take(t, symbols, there)
        self._begun = t + 1

    def exact(self) -> ExactPixels:
        """From the first residual step on."""
        if self._exact is None:
            self._exact = ExactPixels(self.network.model, self.network.convolve, self._shown(True), grey=self.grey)
            self._canvas, self._states = None, list[State]()
        return self._exact

    def pixels(self, total: int | None = None, fill: Fill = "estimate", seed: int = 0) -> np.ndarray:
        """What is shown of everything so far, (3, H, W) uint8.

        total: the last step that matters. Except by "sample", the session may go on.
        """
        if self._exact is not None:
            return self._exact.pixels()
        if fill == "sample":
            self._draw(self.network.steps if total is None else total, seed)
        return self._shown(fill != "none")

    def _shown(self, estimated: bool) -> np.ndarray:
        return self.canvas.shown(max(self._begun - 1, 0), self.header.colours,
                                 self.network.convolve if estimated else None)

    def _draw(self, total: int, seed: int) -> None:
        """Take what is not stored as drawn from the prior."""
        if self._missing:
            t, (before, rows, symbols, there) = self._begun - 1, self._missing
            self.canvas.cells, self.canvas.of_step(t)[...] = self.network.model.config.cells(t), before
            drawn = self.canvas.turned(t, self.network.symbols.sample(rows, seed, t))
            self.take(t, np.where(there, symbols, drawn))
            self._missing = None
        for t in range(self._begun, total):
            drawn = self.network.symbols.sample(self.predict(t), seed, t) * self.luma(t)
            self.take(t, self.canvas.turned(t, drawn))

    def luma(self, t: int) -> np.ndarray:
        """Which symbols of a position a file holds, (last - first,) bool."""
        luma = self.network.model.luma(t)
        return luma if self.grey else np.ones_like(luma)


class Encoding(Session):
    """latents: of the picture. planes: (3, H, W) uint8, padded to multiples of the model's padding."""

    def __init__(self, network: Network, header: Header, planes: np.ndarray):
        super().__init__(network, header)
        self._planes = planes
        self._latents = Latents(network.model, planes, header.colours)

    def segments(self, steps: int) -> Iterator[bytes]:
        """The segment of each step, as it is made."""
        yield from map(self._step, range(min(steps, self.network.steps)))
        yield from map(self._residual_step, range(steps - self.network.steps))

    def _step(self, t: int) -> bytes:
        rows, luma = self.predict(t), self.luma(t)
        before, first = self.canvas.of_step(t), self.network.model.config.seen_first(t)
        symbols = symbols_of(before, self._latents.of_step(t), first)
        if self.grey:
            symbols *= luma
        turned = self.canvas.turned(t, symbols)
        self.take(t, symbols)
        return self.network.symbols.encode(sent(turned, luma), sent(rows, luma))

    def _residual_step(self, i: int) -> bytes:
        exact = self.exact()
        if not exact.sends(i):
            return b""
        rows = exact.predict(i)
        residuals = exact.choose(i, self._planes, self.header.width, self.header.height)
        exact.draw(i, residuals)
        return self.network.residuals.encode(residuals.reshape(-1), rows.reshape(-1))


def sent(symbols: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Those that a file holds, of (H/s, W/s, symbols), in raster order."""
    return (symbols if luma.all() else symbols[..., luma]).reshape(-1)


def placed(found: np.ndarray, empty: Callable[..., np.ndarray], rows: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """The inverse, shaped like ``rows``; the others are as ``empty`` makes them."""
    if luma.all():
        return found.reshape(rows.shape)
    result = empty(rows.shape, found.dtype)
    result[..., luma] = found.reshape(*rows.shape[:2], -1)
    return result


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
        rows, luma = self.predict(t), self.luma(t)
        found, known = self.network.symbols.decode(segment, sent(rows, luma), cut)
        symbols = self.canvas.turned(t, placed(found, np.zeros, rows, luma))
        if known is None:
            self.take(t, symbols)
            return
        there = placed(known, np.ones, rows, luma)
        self._missing = self.canvas.of_step(t).copy(), rows, symbols, there
        self.take(t, symbols, there)

    def _residual_step(self, i: int, segment: bytes, cut: bool) -> None:
        exact = self.exact()
        if exact.sends(i):
            rows = exact.predict(i)
            residuals, known = self.network.residuals.decode(segment, rows.reshape(-1), cut)
            if np.abs(residuals).max(initial=0) > RESIDUAL_LIMIT:
                raise CdrError(f"step {self.network.steps + i + 1} holds a residual beyond {RESIDUAL_LIMIT}: it was "
                               "not made by a cdraw encoder")
            there = None if known is None else known.reshape(rows.shape)
            exact.draw(i, residuals.reshape(rows.shape), there)
        elif segment:
            raise CdrError(f"step {self.network.steps + i + 1} holds colour, and the picture is grey")
