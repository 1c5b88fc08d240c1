"""The residual steps: after the steps of the canvas, they make every pixel exact.

The pixels of each 2x2 square come one after the other, green before red before blue: twelve steps. Each has a small
network, which sees the shown picture and every residual so far, and predicts centre and scale of a mixture of two
logistic distributions for each of the next residuals. Bytes throughout, as in the prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..format.constants import LARGEST, RESIDUAL_STEPS
from .config import SQUARE
from .convolution import ZERO_POINT, ByteConv, Convolver
from .lapped_pyramid import to_positions
from .prior import margins, widened
from .tables import shared_out

PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))  # (y, x) in the square
COLOURS = (1, 0, 2)
# of each step, the channel among those of a square
ORDER = [colour * SQUARE**2 + y * SQUARE + x for y, x in PLACES for colour in COLOURS]
RESIDUAL_UNIT = 8  # the networks see residuals in 1/8 level, about 128
CENTRES, SCALES = 4, 64  # a centre counts in 1/4 level, about 128; scales are log-spaced ...
SMALLEST, LARGEST_SCALE = 0.1, 24.0  # ... between these, in levels
TAIL, TAIL_SCALE = 0.1, 3.0  # share of the wider part of the mixture, and how much wider it is

assert len(ORDER) == RESIDUAL_STEPS


@dataclass(frozen=True)
class ResidualStep:
    """The network of one step: 3x3 convolutions, which see the shown squares and the residuals sent before."""

    entry: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv

    @property
    def reach(self) -> int:
        """Squares that it looks beyond its own."""
        return len(self.hidden) + 2

    def predict(self, shown: np.ndarray, known: np.ndarray, strip: slice, convolve: Convolver
                ) -> tuple[np.ndarray, np.ndarray]:
        """Centres in 1/4 level, -128..127, and indices of scales, 0..63, of some rows of squares: (rows, W/2) int16.

        shown: squares in levels, (H/2, W/2, 12) uint8. known: residuals in the order of steps, (H/2, W/2, steps) int16.
        """
        height, reach = len(shown), self.reach
        seen = widened(strip, height, reach)
        past = (ZERO_POINT + (RESIDUAL_UNIT * known[seen]).clip(1 - ZERO_POINT, ZERO_POINT - 1)).astype(np.uint8)
        x, outside = np.concatenate([shown[seen], past], axis=2), np.uint8(ZERO_POINT)
        for done, convolution in enumerate([self.entry, *self.hidden, self.exit], 1):
            inner = widened(strip, height, reach - done)
            x = convolve(convolution, margins(x, seen, inner, np.broadcast_to(outside, x.shape[2:])))
            seen, outside = inner, np.uint8(0)
        return x[..., 0].astype(np.int16) - ZERO_POINT, np.minimum(x[..., 1], SCALES - 1).astype(np.int16)


def squares(planes: np.ndarray) -> np.ndarray:
    """Pixels (3, H, W) -> squares, (H/2, W/2, 12), in the order of the steps."""
    return to_positions(planes, SQUARE)[..., ORDER]


def place_of(i: int) -> tuple[int, int, int]:
    """Colour, row and column in its square of what the residual step i sends."""
    colour, place = divmod(ORDER[i], SQUARE**2)
    return colour, *divmod(place, SQUARE)


def index_of(scale: float) -> float:
    """Scale in levels -> index (real)."""
    return math.log(scale / SMALLEST) / math.log(LARGEST_SCALE / SMALLEST) * (SCALES - 1)


def split_centre(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre in 1/4 level -> the level at or below it (halves up), and what is left, in 1/4 level, 0..3 for -2..1."""
    moved = centre + CENTRES // 2
    return moved // CENTRES, moved % CENTRES


def frequency_table() -> np.ndarray:
    """The table to store, (256, 32) int32, rows summing to 2**24: row 64 c + i for what is left of the centre, c, and
    the scale i. Symbols as in ``tables.frequency_table``."""
    residual = np.arange(-LARGEST, LARGEST + 1)
    away = abs(residual - (np.arange(CENTRES)[:, None, None] / CENTRES - 0.5))
    inverse = 1 / np.geomspace(SMALLEST, LARGEST_SCALE, SCALES)[:, None]
    parts = []
    for each in (inverse, inverse / TAIL_SCALE):
        upper, lower = ((1 + np.exp(-((side - away) * each).clip(-700, 700))) ** -1 for side in (0.5, -0.5))
        parts.append(upper - lower)
    mass = ((1 - TAIL) * parts[0] + TAIL * parts[1]).reshape(CENTRES * SCALES, -1)
    return shared_out(np.concatenate([mass, (1 - mass.sum(1, keepdims=True)).clip(0)], axis=1))
