"""The forecast: where the coefficients of the finest layer most likely lie in their cells, and what the smaller picture
of the coarser layers most likely looks like, by a network over what is known of both.

The prior is told of it before some steps. It turns positions into four of half the stride, where edges go on and
surfaces are smooth, and back: nothing has to be transformed. Bytes, as in the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .estimator import AROUND, in_bytes, means_around, residual_layers
from .lapped_pyramid import PROMOTED
from .prior import margins, widened

HALVES_LIMIT = 63  # of a magnitude, so that its cell's middle, in halves of a cell, is 127 at most
OFFSET_BITS = 6  # offsets count in 1/64 of a cell
LOW_LIMIT = 2**16  # of the smaller picture, in 1/8 of a level
LOW_CELLS = 8  # cells that are worth as much in the smaller picture as one in the picture
LOW_PIXELS = 3 * PROMOTED**2  # of the smaller picture, in a position
POSITION_UNIT = 16  # of what is seen of it, and made of coefficients, in cells


@dataclass(frozen=True)
class Forecast:
    """entry and exit: 1x1 convolutions at the positions of the finest layer. mix and hidden: 3x3, at half its stride.
    biases: of mix before each step, (T, channels) int32."""

    config: Config
    entry: ByteConv
    mix: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray

    @property
    def reach(self) -> int:
        """Positions that it looks beyond its own."""
        return (len(self.hidden) + 1 + AROUND + 1) // 2

    def before(self, t: int, known: np.ndarray, low: np.ndarray | None, seen: slice, strip: slice, height: int,
               convolve: Convolver) -> tuple[np.ndarray, np.ndarray | None]:
        """Of the rows ``strip``, before step t: how far from the middle of its cell each coefficient lies,
        (rows, W/s, coefficients) uint8 in 1/64 of ``Config.units``, about 128; and the smaller picture as it most
        likely is, (3, 2 rows, 2 W/s) int32.

        known: in which cell each coefficient lies, with its sign, int16, of the rows ``seen``, which go as far as
        ``reach`` beyond, of a picture of ``height`` rows. low: the smaller picture, (3, 2 H/s, 2 W/s); None if there is
        none.
        """
        cell = self.config.steps[t - 1].cell
        x = split_up(convolve(self.entry, halves_of(known)))
        outside = np.full(x.shape[2], ZERO_POINT, np.uint8)
        if low is not None:
            around = low_in_cells(low[:, 2 * seen.start:2 * seen.stop], cell)
            x, outside = np.concatenate([x, around], axis=2), np.append(outside, [np.uint8(ZERO_POINT)] * 3)
        mine, seen = slice(2 * strip.start, 2 * strip.stop), slice(2 * seen.start, 2 * seen.stop)
        wider = widened(mine, 2 * height, len(self.hidden))
        x = convolve(self.mix, margins(x, seen, wider, outside), self.biases[t])
        x = residual_layers(self.hidden, x, wider, mine, 2 * height, convolve)
        found = convolve(self.exit, put_together(x))
        if low is None:
            return found, None
        changes = split_up(found[..., -LOW_PIXELS:]).transpose(2, 0, 1)
        return found[..., :-LOW_PIXELS], placed(low[:, mine], changes, np.int32(cell))


def halves_of(known: np.ndarray) -> np.ndarray:
    """Where the middles of cells are, in halves of their width, about 128: uint8."""
    size = known.clip(-HALVES_LIMIT, HALVES_LIMIT).astype(np.int8)
    return (2 * size + (size > 0) - (size < 0)).view(np.uint8) + np.uint8(ZERO_POINT)


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
    """Pixels of a smaller picture, (3, h, w) whole numbers, less the mean of those around, in 1/16 of eight cells,
    about 128: (h, w, 3) uint8."""
    pixels, divisor = low.clip(-LOW_LIMIT, LOW_LIMIT).astype(np.int32), LOW_CELLS * cell
    found = ((pixels - means_around(pixels, 1)) * POSITION_UNIT + divisor // 2) // divisor
    return np.ascontiguousarray(in_bytes(found).transpose(1, 2, 0))


def placed(middles: np.ndarray, offsets: np.ndarray, units: np.ndarray | np.int32) -> np.ndarray:
    """Offsets in 1/64 of their units, about 128, from middles: in 1/8 of a level, int32, halves rounded up."""
    moved = (offsets.astype(np.int32) - ZERO_POINT) * units
    moved += 1 << OFFSET_BITS - 1
    moved >>= OFFSET_BITS
    moved += middles
    return moved


def displaced(values: np.ndarray, middles: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The inverse, rounded down: offsets of values, uint8."""
    return in_bytes(((values - middles) << OFFSET_BITS) // units)
