"""The estimator: where in its cell each coefficient most likely lies, by a network of each layer over what is known.

It turns coefficients into positions of half the stride, where edges go on and surfaces are smooth, and back. A decoder
shows its answer; before some steps, the prior is told of it. It changes nothing that is known. Bytes, as in the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .prior import margins

OFFSET_BITS = 6  # offsets count in 1/64 of a cell
LOW_LIMIT = 2**16  # of the smaller picture, in 1/8 of a level
LOW_CELLS = 4  # cells that are worth as much in the smaller picture as one in the picture
POSITION_UNIT = 8  # of what is seen of it, and made of coefficients, in cells
AROUND = 2  # of its pixels on each side, over which the mean is taken from which they are counted


@dataclass(frozen=True)
class EstimatorLayer:
    """entry and exit: 1x1 convolutions at the positions of a layer. mix and hidden: 3x3, at half its stride. biases: of
    mix after each step was begun, (T, channels) int32."""

    entry: ByteConv
    mix: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray


@dataclass(frozen=True)
class Estimator:
    """The networks of all layers."""

    config: Config
    layers: list[EstimatorLayer]

    @property
    def reach(self) -> int:
        """Positions that it looks beyond its own."""
        return (self.config.estimator.layers + AROUND + 1) // 2

    def offsets(self, layer: int, t: int, middles: np.ndarray, low: np.ndarray | None, seen: slice, strip: slice,
                convolve: Convolver) -> np.ndarray:
        """How far from the middle of its cell each coefficient of a layer lies after step t was begun, in the rows
        ``strip``, (rows, W/s, coefficients): in 1/64 of ``units``, about 128, uint8.

        middles: of the rows ``seen``, which go as far as ``reach`` beyond, in 1/8 of a level. low: the picture that
        coarser layers make of their middles, (3, 2 H/s, 2 W/s).
        """
        networks, cells = self.layers[layer], self.config.cells(t + 1)[layer]
        numbers = middles // np.maximum(cells >> 1, 1)
        x = split_up(convolve(networks.entry, in_bytes(numbers)))
        outside = np.full(x.shape[2], ZERO_POINT, np.uint8)
        if low is not None:
            around = low_in_cells(low[:, 2 * seen.start:2 * seen.stop], self.config.steps[t].cell)
            x, outside = np.concatenate([x, around], axis=2), np.append(outside, [np.uint8(ZERO_POINT)] * 3)
        left = self.config.estimator.layers - 1
        strip, seen = slice(2 * strip.start, 2 * strip.stop), slice(2 * seen.start, 2 * seen.stop)
        for convolution in [networks.mix, *networks.hidden]:
            inner = slice(max(strip.start - left, seen.start), min(strip.stop + left, seen.stop))
            first = convolution is networks.mix
            found = convolve(convolution, margins(x, seen, inner, outside), networks.biases[t] if first else None)
            x = found if first else added(x[inner.start - seen.start:inner.stop - seen.start], found)
            seen, outside, left = inner, np.zeros(x.shape[2], np.uint8), left - 1
        return convolve(networks.exit, put_together(x))

    def units(self, layer: int, t: int) -> np.ndarray:
        """In what offsets count after step t was begun: the cell of each coefficient, or its first one if it has none
        yet, (coefficients,) int32 in 1/8 of a level."""
        cells = self.config.cells(t + 1)[layer]
        return np.where(cells, cells, self.config.next_cells(t)[layer])


def in_bytes(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers about 128: uint8."""
    return (numbers.clip(1 - ZERO_POINT, ZERO_POINT - 1) + ZERO_POINT).astype(np.uint8)


def added(x: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Bytes, and what to add to them, about 128."""
    total = np.add(x, change, dtype=np.int16)
    total -= ZERO_POINT
    return np.clip(total, 0, 255, out=total).astype(np.uint8)


def split_up(x: np.ndarray) -> np.ndarray:
    """(h, w, 4 channels) -> (2 h, 2 w, channels), row by row."""
    height, width, channels = x.shape
    squares = x.reshape(height, width, 2, 2, channels // 4).swapaxes(1, 2)
    return squares.reshape(2 * height, 2 * width, channels // 4)


def put_together(x: np.ndarray) -> np.ndarray:
    """The inverse."""
    height, width, channels = x.shape
    squares = x.reshape(height // 2, 2, width // 2, 2, channels).swapaxes(1, 2)
    return squares.reshape(height // 2, width // 2, 4 * channels)


def low_in_cells(low: np.ndarray, cell: int) -> np.ndarray:
    """Pixels of a smaller picture, (3, h, w) whole numbers, less the mean of those around, in 1/8 of four cells, about
    128: (h, w, 3) uint8."""
    _, height, width = low.shape
    pixels = low.clip(-LOW_LIMIT, LOW_LIMIT).astype(np.int32)
    padded = np.pad(pixels, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)), "edge")
    size, divisor = 2 * AROUND + 1, LOW_CELLS * cell
    rows = np.add.reduce([padded[:, i:i + height] for i in range(size)])
    total = np.add.reduce([rows[:, :, i:i + width] for i in range(size)])
    mean = (total + size**2 // 2) // size**2
    return in_bytes(((pixels - mean) * POSITION_UNIT + divisor // 2) // divisor).transpose(1, 2, 0)


def middles_of(known: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Of cells, in 1/8 of a level, 0 for 0: int32."""
    return (2 * known + np.sign(known)) * (cells >> 1)


def placed(middles: np.ndarray, offsets: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Values of coefficients, in 1/8 of a level, int32: halves of the offset are rounded up."""
    moved = (offsets.astype(np.int32) - ZERO_POINT) * units
    moved += 1 << OFFSET_BITS - 1
    moved >>= OFFSET_BITS
    moved += middles
    return moved
