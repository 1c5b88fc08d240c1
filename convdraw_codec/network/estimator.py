"""The estimator: where in its cell each coefficient most likely lies, by a small network over all that is known.

It changes what is shown, never what is known: nothing is fed back, so what follows in a longer file still fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .features import companded, low_differences
from .prior import margins, widened

OFFSET_UNIT = 128  # offsets count in 1/128 of a cell
TOLD_APART = 3  # magnitudes that have a shift of their own: 1, 2, and all others


@dataclass(frozen=True)
class EstimatorLayer:
    """entry, 1x1, hidden, 3x3, and exit, 1x1. biases: of the entry after each step was begun, (T, channels) int32.
    shifts: what is added to a magnitude of 1, 2 or more after each step, (T, 3) int32, in 1/128 of its cell."""

    entry: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray
    shifts: np.ndarray


def reference_cells(config: Config, layer: int, t: int) -> int:
    """The unit, in 1/8 of a level, in which a layer is looked at after step t was begun: the cell of the step that
    visited it last, or will visit it first."""
    visits = [step.cell for step in config.steps if step.layer == layer] or [config.steps[t].cell]
    taken = [step.cell for step in config.steps[:t + 1] if step.layer == layer]
    return taken[-1] if taken else visits[0]


@dataclass(frozen=True)
class Estimator:
    """quotients: ``tables.quotient_table``."""

    config: Config
    layers: list[EstimatorLayer]
    quotients: np.ndarray

    @property
    def reach(self) -> int:
        """Positions that it looks beyond its own."""
        return self.config.estimator.layers - 2

    def estimate(self, layer: int, t: int, known: np.ndarray, cells: np.ndarray, low: np.ndarray | None, strip: slice,
                 convolve: Convolver) -> np.ndarray:
        """Values of a layer's coefficients in some rows after step t was begun, in 1/8 of a level, int32.

        known: (H/s, W/s, coefficients) int16, cells: (coefficients,) or as ``known``; see ``coding.canvas``. low: the
        picture that coarser layers make, estimated, (3, 2 H/s, 2 W/s).
        """
        networks, height, unit = self.layers[layer], len(known), reference_cells(self.config, layer, t)
        seen = widened(strip, height, self.reach)
        middles = middles_of(known[seen], cells if cells.ndim == 1 else cells[seen])
        signed = companded(middles, unit, self.quotients)
        inputs = [signed, np.maximum(signed, np.uint8(0) - signed)]  # and their magnitudes: 256 less those below 128
        if low is not None:
            inputs.append(companded(low_differences(low, seen), 2 * unit, self.quotients))
        x = convolve(networks.entry, np.concatenate(inputs, axis=2), networks.biases[t])
        outside = np.zeros(x.shape[2], np.uint8)
        for done, convolution in enumerate(networks.hidden, 1):
            inner = widened(strip, height, self.reach - done)
            x = convolve(convolution, margins(x, seen, inner, outside))
            seen = inner
        offsets = convolve(networks.exit, x).astype(np.int16) - ZERO_POINT
        first = strip.start - widened(strip, height, self.reach).start
        return placed(known[strip], middles[first:first + len(offsets)],
                      cells if cells.ndim == 1 else cells[strip], offsets, networks.shifts[t], unit)


def middles_of(known: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Of cells, in 1/8 of a level, 0 for 0: int32."""
    return (2 * known + np.sign(known)) * (cells >> 1)


def placed(known: np.ndarray, middles: np.ndarray, cells: np.ndarray, offsets: np.ndarray, shifts: np.ndarray,
           unit: int) -> np.ndarray:
    """Values in their cells, from offsets in 1/128 of them, int16, away from zero where a sign is known. What is not
    known at all moves in cells of ``unit`` twice as wide."""
    size = np.arange(-TOLD_APART, TOLD_APART + 1)
    shift = np.sign(size) * np.concatenate([shifts[::-1], [0], shifts])
    room = np.where(size, OFFSET_UNIT // 2, OFFSET_UNIT)
    which = known.clip(-TOLD_APART, TOLD_APART) + TOLD_APART
    moved = offsets * np.where(size < 0, -1, 1).astype(np.int16)[which] + shift.astype(np.int16)[which]
    room_of = room.astype(np.int16)[which]
    np.minimum(np.maximum(moved, -room_of, out=moved), room_of, out=moved)
    return middles + (moved * np.where(cells, cells, 2 * unit) + OFFSET_UNIT // 2 >> 7)
