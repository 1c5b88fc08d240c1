"""The estimator: what a picture most likely looks like, by a network over the picture that the canvas shows.

A decoder shows its answer. It works in pixels, where edges go on and surfaces are smooth, and changes nothing that is
known. Bytes, as in the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .lapped_pyramid import from_positions, to_positions
from .prior import margins, widened

PLANE_LIMIT = 2**14 - 1  # of what is looked at, and of the answer, in 1/8 of a level
AROUND = 2  # positions on each side, over which the mean is taken from which pixels are counted
SEEN_UNIT = 16  # pixels are seen in 1/16 of a cell
ADDED_BITS = 6  # what is added to them counts in 1/64 of a cell


@dataclass(frozen=True)
class Estimator:
    """entry, hidden and exit: 3x3 convolutions. biases: of the entry after each step was begun, (T, channels) int32."""

    config: Config
    entry: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray

    @property
    def reach(self) -> int:
        """Positions that it looks beyond its own."""
        return len(self.hidden) + 2 + AROUND

    def estimate(self, t: int, planes: np.ndarray, seen: slice, strip: slice, height: int, convolve: Convolver
                 ) -> np.ndarray:
        """The picture after step t was begun, as it most likely is: whole numbers in 1/8 of a level, (3, stride rows,
        W) int32, of the positions in the rows ``strip``.

        planes: what the canvas shows of the rows ``seen``, which go as far as ``reach`` beyond, in a picture of
        ``height`` rows of positions.
        """
        stride, cell = self.config.estimator.stride, self.config.steps[t].cell
        patches = to_positions(planes.clip(-PLANE_LIMIT, PLANE_LIMIT).astype(np.int32), stride)
        mine = patches[strip.start - seen.start:strip.stop - seen.start]
        outside = np.full(patches.shape[2], ZERO_POINT, np.uint8)
        inner = widened(strip, height, 1)
        wider = widened(inner, height, len(self.hidden))
        x = convolve(self.entry, margins(in_cells(patches, cell), seen, wider, outside), self.biases[t])
        x = residual_layers(self.hidden, x, wider, inner, height, convolve)
        added = (np.arange(-ZERO_POINT, ZERO_POINT) * cell + (1 << ADDED_BITS - 1) >> ADDED_BITS).astype(np.int32)
        result = added.take(convolve(self.exit, margins(x, inner, strip, np.zeros(x.shape[2], np.uint8))))
        result += mine
        return from_positions(result.clip(-PLANE_LIMIT, PLANE_LIMIT, out=result), stride)


def residual_layers(hidden: list[ByteConv], x: np.ndarray, seen: slice, strip: slice, height: int, convolve: Convolver
                    ) -> np.ndarray:
    """Bytes, to which each 3x3 convolution adds its answer about 128: of the rows ``seen``, to those of the rows
    ``strip``, which are fewer by one on each side for each convolution, but for the ends of the picture."""
    for left, convolution in zip(reversed(range(len(hidden))), hidden, strict=True):
        inner = widened(strip, height, left)
        change = convolve(convolution, margins(x, seen, inner, np.zeros(x.shape[2], np.uint8)))
        total = np.add(x[inner.start - seen.start:inner.stop - seen.start], change, dtype=np.int16)
        total -= ZERO_POINT
        x, seen = np.clip(total, 0, 255, out=total).astype(np.uint8), inner
    return x


def in_cells(patches: np.ndarray, cell: int) -> np.ndarray:
    """Pixels, (h, w, 3 n n) int32, less the mean of those around their position, in 1/16 of a cell, about 128: uint8.
    """
    height, width, channels = patches.shape
    each = channels // 3
    sums = patches.reshape(height, width, 3, each).sum(3).transpose(2, 0, 1)
    mean = means_around(sums, each).astype(np.int32).transpose(1, 2, 0)
    found = ((patches.reshape(height, width, 3, each) - mean[..., None]) * SEEN_UNIT + cell // 2) // cell
    return in_bytes(found).reshape(patches.shape)


def in_bytes(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers about 128: uint8."""
    return (numbers.clip(1 - ZERO_POINT, ZERO_POINT - 1) + ZERO_POINT).astype(np.uint8)


def means_around(sums: np.ndarray, each: int) -> np.ndarray:
    """Of numbers of which so many were added up at each position, (channels, h, w), the mean of those around, rounded,
    halves up."""
    _, height, width = sums.shape
    padded = np.pad(sums, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)), "edge")
    size, count = 2 * AROUND + 1, each * (2 * AROUND + 1) ** 2
    rows = np.add.reduce([padded[:, i:i + height] for i in range(size)])
    total = np.add.reduce([rows[..., i:i + width] for i in range(size)])
    return (total + count // 2) // count


def middles_of(known: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Of cells, in 1/8 of a level, 0 for 0: int32."""
    return (np.multiply(known, 2, dtype=np.int32) + np.sign(known)) * (cells >> 1)
