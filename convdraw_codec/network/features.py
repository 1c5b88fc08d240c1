"""What networks see of coefficients and of smaller pictures: logarithms in bytes."""

from __future__ import annotations

import numpy as np

from .convolution import ZERO_POINT
from .tables import LARGEST_KNOWN, QUOTIENT_UNIT

LOW_CHANNELS = 15  # of what coarser layers say about a position
PLACE_UNIT = 64  # of places in a cell


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


def companded(numbers: np.ndarray, divisor: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Logarithms of whole numbers in 1/16 of ``divisor``, with signs, about 128: uint8. Products are binary32."""
    product = np.asarray(numbers, np.float32) * (np.float32(QUOTIENT_UNIT) / np.asarray(divisor, np.float32))
    most = len(table) - 1
    quotients = np.clip(product, -most, most, out=product).astype(np.int16)  # towards 0
    quotients += most
    size = np.minimum(table >> 1, ZERO_POINT - 1).astype(np.int16)
    return np.concatenate([ZERO_POINT - size[:0:-1], ZERO_POINT + size]).astype(np.uint8)[quotients]


def known_logarithms(known: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Of what is known of coefficients, in cells with signs: uint8."""
    return table[np.minimum(np.abs(known), LARGEST_KNOWN)]


def expectations(values: np.ndarray, known: np.ndarray, cells: np.ndarray, next_cells: np.ndarray, table: np.ndarray
                 ) -> np.ndarray:
    """What the prior is told of coefficients of which the estimator expects ``values``, in 1/8 of a level: bytes about
    128. Of one that is 0 so far, the logarithm of the value, with its sign, in ``next_cells``; of another, where in its
    cell the value lies, in 1/64 of the cell, from its middle.

    values, known: (h, w, coefficients) int32 and int16. cells, next_cells: (coefficients,) int32.
    """
    result = companded(values, next_cells, table).reshape(-1)
    there, half = np.flatnonzero(known), PLACE_UNIT // 2
    number, value = known.reshape(-1)[there].astype(np.int32), values.reshape(-1)[there]
    cell = cells[there % len(cells)]
    place = (np.sign(number) * value - np.abs(number) * cell) * PLACE_UNIT // cell
    result[there] = ZERO_POINT + place.clip(-half, PLACE_UNIT + half) - half
    return result.reshape(known.shape)


def sizes(expected: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """``expectations`` without the signs of those that are ``zero``."""
    return np.where(zero, np.maximum(expected, np.uint8(0) - expected), expected)  # 256 less those below 128
