"""The canvas: what is known of a picture's coefficients, and the picture that it shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import CdrError
from ..format.rotation import TURN_UNIT, Colours
from ..network.convolution import ZERO_POINT, Convolver
from ..network.estimator import middles_of
from ..network.features import known_logarithms, negated
from ..network.forecast import LOW_LIMIT, displaced
from ..network.lapped_pyramid import LARGEST_COEFFICIENT, MATRIX_UNIT, UNIT
from ..network.model import Model
from ..network.prior import strips, widened

SHOWN_PIXELS = 2**19  # that are made at a time
LARGEST_KNOWN = 2**15 - 1  # of a magnitude, in cells
FIRST_LIMIT = 256  # of the magnitude of a symbol


class Canvas:
    """Height and width are multiples of the coarsest stride.

    known: of each layer, (H/s, W/s, coefficients) int16: in which cell each coefficient lies, counted from 0, with its
    sign. cells: how wide these are, in 1/8 of a level, (coefficients,) int32, or (H/s, W/s, coefficients) where some
    symbols of a step are missing; 0 where nothing is known. expected: of each layer, once there was a forecast, where
    coefficients lie, as ``away`` has it.
    """

    def __init__(self, model: Model, height: int, width: int):
        self.model, self.height, self.width = model, height, width
        shapes = [(height // layer.stride, width // layer.stride, count)
                  for layer, count in zip(model.config.layers, model.config.coefficients, strict=True)]
        self.known = [np.zeros(shape, np.int16) for shape in shapes]
        self.logarithms = [np.zeros(shape, np.uint8) for shape in shapes]
        self.cells = model.config.cells(0)
        self.expected: list[np.ndarray | None] = [None] * len(shapes)
        self._largest = [0] * len(shapes)  # that any magnitude of a layer may have
        self._logarithm_of = known_logarithms(np.arange(2**16, dtype=np.uint16).view(np.int16).astype(int),
                                              model.known_table)
        self._low: list[np.ndarray | None] = [None] * len(shapes)  # what coarser layers make, as it was last asked for

    def of_step(self, t: int) -> np.ndarray:
        """What is known of the coefficients of step t: a view."""
        step = self.model.config.steps[t]
        return self.known[step.layer][..., step.first:step.last]

    def take(self, t: int, symbols: np.ndarray, there: np.ndarray | None = None) -> None:
        """Take the symbols of step t, (H/s, W/s, last - first). there: where they are known, if not everywhere: then
        no other step may follow. Raises CdrError for coefficients that no picture has."""
        step, before = self.model.config.steps[t], self.of_step(t)
        at, coefficients = step.layer, slice(step.first, step.last)
        self._largest[at] = max(2 * self._largest[at] + 1, FIRST_LIMIT)
        allowed = min(LARGEST_COEFFICIENT // step.cell - 2, LARGEST_KNOWN)
        after = refined(before if self._largest[at] <= LARGEST_KNOWN else before.astype(np.int32), symbols)
        if self._largest[at] > allowed:  # it may be, so look
            self._largest[at] = int(max(after.max(), -after.min()))
            if self._largest[at] > allowed:
                raise CdrError(f"step {t + 1} holds a coefficient that no picture has: it was not made by a cdraw "
                               "encoder")
        after, cells = after.astype(np.int16, copy=False), self.cells[at].copy()
        if there is not None:
            after, cells = np.where(there, after, before), np.broadcast_to(cells, self.known[at].shape).copy()
        cells[..., coefficients] = step.cell if there is None else np.where(there, step.cell, cells[..., coefficients])
        self.cells[at] = cells
        before[...] = after
        self.logarithms[at][..., coefficients] = self._logarithm_of.take(after.view(np.uint16))
        self._low[at + 1:] = [None] * (len(self._low) - at - 1)

    def expect(self, t: int, convolve: Convolver) -> None:
        """Make a forecast of where coefficients lie, for step t and those that follow."""
        last, units = len(self.known) - 1, self.model.config.units(t)
        rows, columns, _ = self.known[last].shape
        told, low = np.empty(self.known[last].shape, np.uint8), np.empty((3, 2 * rows, 2 * columns), np.int32)
        for strip in self._strips():
            offsets, smaller = self._forecast(t, strip, convolve)
            told[strip] = away(offsets, self.known[last][strip])
            if smaller is not None:
                low[:, 2 * strip.start:2 * strip.stop] = smaller
        self.expected[last], low = told, low.clip(-LOW_LIMIT, LOW_LIMIT)
        for layer in reversed(range(last)):
            values, low = self.model.pyramid.whole_split(layer, low)
            offsets = displaced(values.astype(np.int32), middles_of(self.known[layer], self.cells[layer]), units[layer])
            self.expected[layer] = away(offsets, self.known[layer])

    def _forecast(self, t: int, strip: slice, convolve: Convolver) -> tuple[np.ndarray, np.ndarray | None]:
        """Of some rows of the finest layer, before step t."""
        forecast, last = self.model.forecast, len(self.known) - 1
        seen = widened(strip, len(self.known[last]), forecast.reach)
        return forecast.before(t, self.known[last][seen], self.low(last), seen, strip, len(self.known[last]), convolve)

    def turned(self, t: int, symbols: np.ndarray) -> np.ndarray:
        """The symbols of step t, which it is about to take, counted from the sign that is expected of each coefficient
        that is 0 so far; or the inverse."""
        step = self.model.config.steps[t]
        expected = self.expected[step.layer]
        if expected is None:
            return symbols
        negative = (expected[..., step.first:step.last] < ZERO_POINT) & (self.of_step(t) == 0)
        return negated(symbols, negative)

    def low(self, layer: int) -> np.ndarray | None:
        """The picture that the layers before this one make, of 2x2 pixels a position: (3, 2 H/s, 2 W/s) int32."""
        if layer and self._low[layer] is None:
            coarser = middles_of(self.known[layer - 1], self.cells[layer - 1])
            made = self.model.pyramid.synthesis(layer - 1, coarser, self.low(layer - 1))
            self._low[layer] = made.astype(np.int32)
        return self._low[layer]

    def shown(self, t: int, colours: Colours, convolve: Convolver | None) -> np.ndarray:
        """The picture after step t was begun, (3, H, W) uint8; with ``convolve``, as the estimator has it, else with
        the middles of cells."""
        stride = self.model.config.layers[-1].stride
        result, matrix = np.empty((3, self.height, self.width), np.uint8), colour_matrix(colours, self.model.axes)
        for strip in self._strips():
            planes = self._planes(strip, t, convolve)
            result[:, stride * strip.start:stride * strip.stop] = in_levels(planes, matrix, colours.mean)
        return result

    def _strips(self) -> Iterator[slice]:
        """Of the finest layer."""
        rows, columns, _ = self.known[-1].shape
        return strips(rows, SHOWN_PIXELS // (columns * self.model.config.layers[-1].stride ** 2))

    def _planes(self, strip: slice, t: int, convolve: Convolver | None) -> np.ndarray:
        """What all layers show after step t was begun, of some rows of positions of the finest one, (3, rows, W) whole
        numbers in 1/8 of a level; with ``convolve``, as the estimator has it."""
        last, estimator = len(self.known) - 1, self.model.estimator
        side, stride = self.model.config.layers[-1].stride, self.model.config.estimator.stride
        height = len(self.known[last])
        wanted = widened(strip, height, -(-estimator.reach * stride // side)) if convolve else strip
        seen, low = widened(wanted, height, 1), self.low(last)  # blocks overlap
        smaller = None if low is None else low[:, 2 * seen.start:2 * seen.stop]
        cells = self.cells[last]
        values = middles_of(self.known[last][seen], cells if cells.ndim == 1 else cells[seen])
        planes = self.model.pyramid.synthesis(last, values, smaller)
        planes = planes[:, side * (wanted.start - seen.start):side * (wanted.stop - seen.start)]
        if convolve is None:
            return planes
        there, mine = (slice(side * rows.start // stride, side * rows.stop // stride) for rows in (wanted, strip))
        return estimator.estimate(t, planes, there, mine, side * height // stride, convolve)


def away(offsets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Offsets about 128, those of negative coefficients turned round, so that more is away from 0: uint8."""
    return negated(np.maximum(offsets, np.uint8(1)), known < 0)  # as far as 127 either way


def refined(before: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """In which cell each coefficient of a step lies: from that before, and its symbols, see ``network.tables``. A
    coefficient that was not sent before is 0 so far."""
    return 2 * before + negated(symbols, before < 0)


def symbols_of(before: np.ndarray, after: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The inverse: the symbols of a step, int16."""
    return np.where(first | (before == 0), after, np.abs(after) & 1).astype(np.int16)


def colour_matrix(colours: Colours, axes: np.ndarray) -> np.ndarray:
    """From planes in the axes of the model to colours of the picture: whole numbers in 1/2^27, (3, 3) float64."""
    return np.array(colours.matrix(), np.float64) @ axes.T


def in_levels(planes: np.ndarray, matrix: np.ndarray, mean: tuple[int, int, int]) -> np.ndarray:
    """Planes (3, H, W) in 1/8 of a level -> the picture, uint8. Sums are exact, halves are rounded up."""
    unit = TURN_UNIT * MATRIX_UNIT * UNIT
    turned = matrix @ planes.reshape(3, -1)
    turned /= unit
    turned += 0.5 + np.array(mean)[:, None]
    np.floor(turned, out=turned)
    return turned.clip(0, 255, out=turned).astype(np.uint8).reshape(planes.shape)
