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
from ..network.prior import widened
from .strip_transform import StripTransform

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
        self.transform = StripTransform(model.pyramid, [shape[:2] for shape in shapes], self.middles)

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
        self.transform.changed(step.layer)

    def middles(self, layer: int, rows: slice = slice(None)) -> np.ndarray:
        """Of the cells in which the coefficients of a layer lie, (rows, W/s, coefficients) in 1/8 of a level, int32."""
        result = middles_of(self.known[layer][rows], self.cells[layer])
        for t, still in self.open.items():
            step = self.model.config.steps[t]
            if step.layer == layer:  # twice as wide
                wider = np.sign(self.of_step(t)[rows]) * still[rows]
                result[..., step.first:step.last] += wider * np.int32(step.cell // 2)
        return result

    def bounds(self, layer: int, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Between which values the coefficients of a layer lie, as far as is known, (rows, W/s, coefficients) in 1/8 of
        a level, int32."""
        known, cells = self.known[layer][rows].astype(np.int32), self.cells[layer]
        wide = np.ones_like(known)
        for t, still in self.open.items():
            step = self.model.config.steps[t]
            if step.layer == layer:
                wide[..., step.first:step.last] += still[rows]
        farthest = np.where(cells, cells, LARGEST_COEFFICIENT) * wide
        low, high = known * cells - farthest * (known <= 0), known * cells + farthest * (known >= 0)
        return low, high

    def expect(self, t: int, convolve: Convolver) -> None:
        """Make a forecast of where coefficients lie, for step t and those that follow."""
        last, units = len(self.known) - 1, self.model.config.units(t)
        rows, columns, _ = self.known[last].shape
        told, low = self._told(last), np.empty((3, 2 * rows, 2 * columns), np.int32)
        self.transform.low(last)  # once, for all strips

        def foresee(strip: slice) -> None:
            offsets, smaller = self._forecast(t, strip, convolve)
            told[strip] = away(offsets, self.known[last][strip])
            if smaller is not None:
                low[:, 2 * strip.start:2 * strip.stop] = smaller.clip(-LOW_LIMIT, LOW_LIMIT)

        convolve.for_all(foresee, self.transform.strips(last, convolve.threads))
        for layer in reversed(range(last)):
            low = self._expect(layer, low, units[layer], convolve)

    def _expect(self, layer: int, picture: np.ndarray, units: np.ndarray, convolve: Convolver) -> np.ndarray:
        """Of a layer, from the picture that it and coarser ones most likely make; that of the coarser ones, int32."""
        side, told = self.transform.side(layer), self._told(layer)

        def take(strip: slice, values: np.ndarray) -> None:
            offsets = displaced(values.astype(np.int32), self.middles(layer, strip), units)
            told[strip] = away(offsets, self.known[layer][strip])

        return self.transform.split(layer, lambda rows: picture[:, side * rows.start:side * rows.stop], take, convolve)

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
        low, height = self.transform.low(last), len(self.known[last])
        return forecast.before(t, self.known[last][seen], low, seen, strip, height, convolve)

    def turned(self, t: int, strip: slice, symbols: np.ndarray) -> np.ndarray:
        """The symbols of step t, which it is about to take, counted from the sign that is expected of each coefficient
        that is 0 so far; or the inverse."""
        step = self.model.config.steps[t]
        expected = self.expected[step.layer]
        if expected is None:
            return symbols
        negative = (expected[strip][..., step.first:step.last] < ZERO_POINT) & (self.of_step(t)[strip] == 0)
        return negated(symbols, negative)

    def shown(self, t: int, colours: Colours, convolve: Convolver, *, estimated: bool) -> np.ndarray:
        """The picture after step t was begun, (3, H, W) uint8: as the estimator has it, or with the middles of cells.
        """
        last, matrix = len(self.known) - 1, colour_matrix(colours, self.model.axes)

        def show(strip: slice) -> np.ndarray:
            planes = self.estimated(strip, t, convolve) if estimated else self.transform.made(last, strip)
            return in_levels(planes, matrix, colours.mean)

        return self.transform.gathered(show, np.uint8, convolve)

    def estimated(self, strip: slice, t: int, convolve: Convolver) -> np.ndarray:
        """What the picture most likely looks like after step t was begun, in some rows of positions of the finest
        layer: (3, rows, W) int32, in 1/8 of a level."""
        last, estimator, stride = len(self.known) - 1, self.model.estimator, self.model.config.estimator.stride
        side, height = self.transform.side(last), len(self.known[last])
        wanted = widened(strip, height, -(-estimator.reach * stride // side))
        there, mine = (slice(side * rows.start // stride, side * rows.stop // stride) for rows in (wanted, strip))
        planes = self.transform.made(last, wanted)
        return estimator.estimate(t, planes, there, mine, side * height // stride, convolve)


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
