"""The canvas: what is known of a picture's coefficients, and the picture that it shows."""

from __future__ import annotations

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
    sign. cells: how wide these are, in 1/8 of a level, (coefficients,) int32; 0 where nothing is known. open: of steps
    that were taken in part, which of their symbols are still missing, (H/s, W/s, last - first) bool: these coefficients
    lie in the cell that is known or in the next one away from 0; if it is 0, in that or in those on both sides.
    expected: of each layer, once there was a forecast, where coefficients lie, as ``away`` has it.
    """

    def __init__(self, model: Model, height: int, width: int):
        self.model, self.height, self.width = model, height, width
        shapes = [(height // layer.stride, width // layer.stride, count)
                  for layer, count in zip(model.config.layers, model.config.coefficients, strict=True)]
        self.known = [np.zeros(shape, np.int16) for shape in shapes]
        self.logarithms = [np.zeros(shape, np.uint8) for shape in shapes]
        self.cells = model.config.cells(0)
        self.open: dict[int, np.ndarray] = {}
        self.expected: list[np.ndarray | None] = [None] * len(shapes)
        self._logarithm_of = known_logarithms(np.arange(2**16, dtype=np.uint16).view(np.int16).astype(int),
                                              model.known_table)
        self._low: list[np.ndarray | None] = [None] * len(shapes)  # what coarser layers make, as it was last asked for

    def of_step(self, t: int) -> np.ndarray:
        """What is known of the coefficients of step t: a view."""
        step = self.model.config.steps[t]
        return self.known[step.layer][..., step.first:step.last]

    def take(self, t: int, strip: slice, symbols: np.ndarray, still: np.ndarray | None = None) -> None:
        """Take the symbols of step t in some rows, (rows, W/s, last - first), but for those that are ``still`` missing,
        which are 0. Raises CdrError for coefficients that no picture has."""
        step, before = self.model.config.steps[t], self.of_step(t)[strip]
        if not _fits(before, LARGEST_KNOWN // 2):
            before = before.astype(np.int32)
        self._put(t, strip, refined(before, symbols))
        self.cells[step.layer][step.first:step.last] = step.cell
        if still is not None:
            self.open.setdefault(t, np.zeros(self.of_step(t).shape, bool))[strip] = still

    def complete(self, t: int, strip: slice, symbols: np.ndarray, still: np.ndarray | None = None) -> None:
        """Take symbols of step t that were missing so far, 0 where they were not; after all of its rows. Raises
        CdrError as ``take`` does."""
        known = self.of_step(t)[strip]
        self._put(t, strip, known + negated(symbols, known < 0))
        self.open[t][strip] = False if still is None else still

    def _put(self, t: int, strip: slice, known: np.ndarray) -> None:
        step = self.model.config.steps[t]
        if not _fits(known, min(LARGEST_COEFFICIENT // step.cell - 2, LARGEST_KNOWN)):
            raise CdrError(f"step {t + 1} holds a coefficient that no picture has: it was not made by a cdraw encoder")
        known = known.astype(np.int16, copy=False)
        self.of_step(t)[strip] = known
        logarithms = self.logarithms[step.layer][strip]
        logarithms[..., step.first:step.last] = self._logarithm_of.take(known.view(np.uint16))
        self._low[step.layer + 1:] = [None] * (len(self._low) - step.layer - 1)

    def middles(self, layer: int, rows: slice = slice(None)) -> np.ndarray:
        """Of the cells in which the coefficients of a layer lie, (rows, W/s, coefficients) in 1/8 of a level, int32."""
        result = middles_of(self.known[layer][rows], self.cells[layer])
        for t, still in self.open.items():
            step = self.model.config.steps[t]
            if step.layer == layer:  # twice as wide
                wider = np.sign(self.of_step(t)[rows]) * still[rows]
                result[..., step.first:step.last] += wider * np.int32(step.cell // 2)
        return result

    def expect(self, t: int, convolve: Convolver) -> None:
        """Make a forecast of where coefficients lie, for step t and those that follow."""
        last, units = len(self.known) - 1, self.model.config.units(t)
        rows, columns, _ = self.known[last].shape
        told, low = self._told(last), np.empty((3, 2 * rows, 2 * columns), np.int32)
        self.low(last)  # once, for all strips

        def foresee(strip: slice) -> None:
            offsets, smaller = self._forecast(t, strip, convolve)
            told[strip] = away(offsets, self.known[last][strip])
            if smaller is not None:
                low[:, 2 * strip.start:2 * strip.stop] = smaller.clip(-LOW_LIMIT, LOW_LIMIT)

        convolve.for_all(foresee, self._strips(last, convolve.threads))
        for layer in reversed(range(last)):
            low = self._expect(layer, low, units[layer], convolve)

    def _expect(self, layer: int, picture: np.ndarray, units: np.ndarray, convolve: Convolver) -> np.ndarray:
        """Of a layer, from the picture that it and coarser ones most likely make; that of the coarser ones, int32."""
        rows, columns, _ = self.known[layer].shape
        side, told = self._side(layer), self._told(layer)
        smaller = np.empty((3, 2 * rows, 2 * columns), np.int32)

        def part(strip: slice) -> None:
            seen = widened(strip, rows, 1)  # blocks overlap
            mine = slice(strip.start - seen.start, strip.stop - seen.start)
            values, low = self.model.pyramid.whole_split(layer, picture[:, side * seen.start:side * seen.stop])
            offsets = displaced(values[mine].astype(np.int32), self.middles(layer, strip), units)
            told[strip] = away(offsets, self.known[layer][strip])
            smaller[:, 2 * strip.start:2 * strip.stop] = low[:, 2 * mine.start:2 * mine.stop]

        convolve.for_all(part, self._strips(layer, convolve.threads))
        return smaller

    def _told(self, layer: int) -> np.ndarray:
        """Room for what is expected of a layer."""
        told = self.expected[layer]
        if told is None:
            told = self.expected[layer] = np.empty(self.known[layer].shape, np.uint8)
        return told

    def _forecast(self, t: int, strip: slice, convolve: Convolver) -> tuple[np.ndarray, np.ndarray | None]:
        """Of some rows of the finest layer, before step t."""
        forecast, last = self.model.forecast, len(self.known) - 1
        seen = widened(strip, len(self.known[last]), forecast.reach)
        return forecast.before(t, self.known[last][seen], self.low(last), seen, strip, len(self.known[last]), convolve)

    def turned(self, t: int, strip: slice, symbols: np.ndarray) -> np.ndarray:
        """The symbols of step t, which it is about to take, counted from the sign that is expected of each coefficient
        that is 0 so far; or the inverse."""
        step = self.model.config.steps[t]
        expected = self.expected[step.layer]
        if expected is None:
            return symbols
        negative = (expected[strip][..., step.first:step.last] < ZERO_POINT) & (self.of_step(t)[strip] == 0)
        return negated(symbols, negative)

    def low(self, layer: int) -> np.ndarray | None:
        """The picture that the layers before this one make, of 2x2 pixels a position: (3, 2 H/s, 2 W/s) int32."""
        if layer and self._low[layer] is None:
            rows, columns, _ = self.known[layer].shape
            made, side = np.empty((3, 2 * rows, 2 * columns), np.int32), self._side(layer - 1)
            for strip in self._strips(layer - 1):
                made[:, side * strip.start:side * strip.stop] = self._made(layer - 1, strip)
            self._low[layer] = made
        return self._low[layer]

    def _made(self, layer: int, strip: slice) -> np.ndarray:
        """The picture that the layers up to this one make, of some rows of its positions: (3, n rows, n W/s) float64,
        whole numbers in 1/8 of a level, n being the ``_side`` of the layer."""
        seen, low, side = widened(strip, len(self.known[layer]), 1), self.low(layer), self._side(layer)
        smaller = None if low is None else low[:, 2 * seen.start:2 * seen.stop]
        planes = self.model.pyramid.synthesis(layer, self.middles(layer, seen), smaller)  # whose blocks overlap
        return planes[:, side * (strip.start - seen.start):side * (strip.stop - seen.start)]

    def _side(self, layer: int) -> int:
        """Pixels of a position of a layer, in the picture that it and coarser ones make."""
        return len(self.model.pyramid.functions[layer])

    def _strips(self, layer: int, parts: int = 1) -> list[slice]:
        """Some rows of positions of a layer at a time."""
        rows, columns, _ = self.known[layer].shape
        return strips(rows, SHOWN_PIXELS // (columns * self._side(layer) ** 2), parts)

    def shown(self, t: int, colours: Colours, convolve: Convolver | None) -> np.ndarray:
        """The picture after step t was begun, (3, H, W) uint8; with ``convolve``, as the estimator has it, else with
        the middles of cells."""
        last = len(self.known) - 1
        result, matrix = np.empty((3, self.height, self.width), np.uint8), colour_matrix(colours, self.model.axes)
        self.low(last)  # once, for all strips

        def show(strip: slice) -> None:
            rows = slice(self._side(last) * strip.start, self._side(last) * strip.stop)
            result[:, rows] = in_levels(self._planes(strip, t, convolve), matrix, colours.mean)

        if convolve:
            convolve.for_all(show, self._strips(last, convolve.threads))
        else:
            for strip in self._strips(last):
                show(strip)
        return result

    def _planes(self, strip: slice, t: int, convolve: Convolver | None) -> np.ndarray:
        """What all layers show after step t was begun, of some rows of positions of the finest one, (3, rows, W) whole
        numbers in 1/8 of a level; with ``convolve``, as the estimator has it."""
        last, estimator = len(self.known) - 1, self.model.estimator
        if convolve is None:
            return self._made(last, strip)
        side, stride, height = self._side(last), self.model.config.estimator.stride, len(self.known[last])
        wanted = widened(strip, height, -(-estimator.reach * stride // side))
        there, mine = (slice(side * rows.start // stride, side * rows.stop // stride) for rows in (wanted, strip))
        return estimator.estimate(t, self._made(last, wanted), there, mine, side * height // stride, convolve)


def _fits(known: np.ndarray, largest: int) -> bool:
    """Whether no magnitude is larger."""
    return bool(known.max(initial=0) <= largest and known.min(initial=0) >= -largest)


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
    turned = np.empty(planes.shape)
    np.matmul(matrix, planes.swapaxes(0, 1), out=turned.swapaxes(0, 1))  # row by row, as in ``lapped_pyramid``
    turned *= 1 / (TURN_UNIT * MATRIX_UNIT * UNIT)  # a power of 2: exact, and faster than a division
    turned += 0.5 + np.array(mean)[:, None, None]
    np.floor(turned, out=turned)
    return turned.clip(0, 255, out=turned).astype(np.uint8)
