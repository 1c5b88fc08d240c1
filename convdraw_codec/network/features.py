"""What networks see of coefficients and of smaller pictures: logarithms in bytes."""

from __future__ import annotations

import numpy as np

from .convolution import ZERO_POINT
from .tables import LARGEST_KNOWN, QUOTIENT_UNIT

LOW_CHANNELS = 15  # of what coarser layers say about a position


def low_differences(low: np.ndarray, rows: slice) -> np.ndarray:
    """What coarser layers say about the positions in some rows, in twice the unit of ``low``: (rows, w, 15) int32.

    low: the picture that they make, (3, 2 h, 2 w) whole numbers. Of each colour, the differences inside a position's
    four pixels, across, down and both; and those of their sum to that of the next position, right and down.
    """
    colours, height, width = low.shape
    seen = low[:, 2 * rows.start:2 * min(rows.stop + 1, height // 2)].astype(np.int32)  # and the row below
    blocks = seen.reshape(colours, -1, 2, width // 2, 2)
    total, inside = blocks.sum((2, 4)), blocks[:, :rows.stop - rows.start]
    upper_left, upper_right, lower_left, lower_right = (inside[:, :, i, :, j] for i in (0, 1) for j in (0, 1))
    count = rows.stop - rows.start
    across, down = np.zeros((2, colours, count, width // 2), np.int32)
    across[..., :-1] = np.diff(total[:, :count], axis=2)
    below = np.diff(total, axis=1)
    down[:, :below.shape[1]] = below
    every = [upper_left + lower_left - upper_right - lower_right, upper_left + upper_right - lower_left - lower_right,
             upper_left - upper_right - lower_left + lower_right, across, down]
    return np.concatenate(every).transpose(1, 2, 0)


def magnitudes(differences: np.ndarray, cell: int, table: np.ndarray) -> np.ndarray:
    """Logarithms of differences in cells, signs left out: uint8."""
    quotients = np.abs(differences) * (QUOTIENT_UNIT // 2) // cell
    return table[np.minimum(quotients, len(table) - 1)]


def known_logarithms(known: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Of what is known of coefficients, in cells with signs: uint8."""
    return table[np.minimum(np.abs(known), LARGEST_KNOWN)]


def negated(numbers: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Whole numbers, those at some places negated; bytes modulo 256, so that those about 128 stay about it."""
    signs = np.int8(1) - 2 * where.view(np.int8)  # several times faster than np.where
    return numbers * signs.astype(numbers.dtype, copy=False)


def sizes(expected: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """What is expected of coefficients, about 128, without the signs of those that are ``zero``."""
    return negated(expected, zero & (expected < ZERO_POINT))
