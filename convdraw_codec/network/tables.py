"""The stored tables: distributions of symbols, in which order they are sent, and logarithms in bytes.

What is known of a coefficient decides the family of the distribution of its next symbol, in cells of the step:

- FIRST: nothing is known. The symbol is the whole part k of the coefficient, sign and magnitude: a logistic
  distribution of scale s, in bins that are a cell wide, but for k = 0, which takes -1..1.
- ZERO: it was zero. The symbol is -1, 0 or 1: whether it stays so, or its sign. Signs are equally likely.
- REFINE: it was not. The symbol is 0 or 1, the next bit of its magnitude.

Each family has 64 rows, distributions from the stillest to the loudest.
"""

from __future__ import annotations

import math

import numpy as np

from ..format.constants import LARGEST, PRECISION

FAMILIES = 3
FIRST, ZERO, REFINE = range(FAMILIES)
ROWS = 64  # of a family
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 32.0  # of FIRST, log-spaced between
ODDS_UNIT = (0, 6, 10)  # rows of ZERO and REFINE count the logarithm of the odds in 1/6 and 1/10, ...
EVEN_ODDS = (0, 48, 32)  # ... from these, which stand for even odds
SLOPE_UNIT = 1024

BYTE_UNIT = 32  # bytes that networks see and pass on count in 1/32
LARGEST_KNOWN = 31  # magnitudes that networks tell apart
QUOTIENT_UNIT, QUOTIENTS = 16, 1024  # the table of logarithms goes in 1/16 up to 1023/16


def scales() -> np.ndarray:
    """Of the rows of FIRST, in cells, (64,) float64."""
    return np.geomspace(SMALLEST_SCALE, LARGEST_SCALE, ROWS)


def probabilities() -> np.ndarray:
    """Of the symbols -15..15 in every row, (192, 31) float64; what is missing to 1 is beyond."""
    symbols = np.arange(-LARGEST, LARGEST + 1)
    size, result = abs(symbols), np.zeros((FAMILIES, ROWS, len(symbols)))
    inverse = 1 / scales()[:, None]
    tail = 1 / (1 + np.exp(size * inverse)) - 1 / (1 + np.exp((size + 1) * inverse))
    result[FIRST] = np.where(size, tail, np.tanh(inverse / 2))
    for family in (ZERO, REFINE):
        one = 1 / (1 + np.exp(-(np.arange(ROWS) - EVEN_ODDS[family]) / ODDS_UNIT[family]))
        result[family, :, LARGEST] = 1 - one
        result[family, :, LARGEST + 1] = one / (2 if family == ZERO else 1)
    result[ZERO, :, LARGEST - 1] = result[ZERO, :, LARGEST + 1]
    return result.reshape(FAMILIES * ROWS, -1)


def frequency_table() -> np.ndarray:
    """The frequencies to store, (192, 32) int32, each row summing to 2**24: of the symbols -15..15, and of an escape.

    No symbol that a row can have is left without: the likeliest gives what the others need.
    """
    mass = probabilities()
    mass = np.concatenate([mass, (1 - mass.sum(1, keepdims=True)).clip(0)], axis=1)
    can = np.ones_like(mass, bool)
    for family, first, last in ((ZERO, LARGEST - 1, LARGEST + 2), (REFINE, LARGEST, LARGEST + 2)):
        rows = slice(ROWS * family, ROWS * (family + 1))
        can[rows] = False
        can[rows, first:last] = True
    return shared_out(mass, can)


def shared_out(mass: np.ndarray, can: np.ndarray | None = None) -> np.ndarray:
    """Masses (rows, symbols) -> frequencies, int32, each row summing to 2**24, at least 1 where a symbol ``can`` be."""
    total = 1 << PRECISION
    frequencies = np.floor(mass * (total - 2 * mass.shape[1])).astype(np.int64)
    frequencies = np.maximum(frequencies, 1 if can is None else can.astype(np.int64))
    frequencies[np.arange(len(frequencies)), frequencies.argmax(1)] += total - frequencies.sum(1)
    return frequencies.astype(np.int32)


def slope_table() -> np.ndarray:
    """How much squared error a symbol of each row is expected to take away for a bit, in 1/1024 of a squared cell,
    (192,) int32: a step sends rows of large slope first."""
    mass = probabilities()
    symbols = np.arange(-LARGEST, LARGEST + 1)
    outside = (1 - mass.sum(1)).clip(0)
    bits = -(mass * np.log2(mass.clip(1e-30))).sum(1) - outside * np.log2(outside.clip(1e-30)) + 8 * outside
    found = np.where(symbols, abs(symbols) + 0.5, 0.0)
    gain = mass @ found**2 + outside * (LARGEST + 1.5)**2
    one = mass[ROWS * REFINE:, LARGEST + 1]
    gain[ROWS * REFINE:] = one * (1 - one)  # of two halves of a cell, each with its middle
    return np.rint(SLOPE_UNIT * gain / bits).astype(np.int32)


def byte_logarithms(largest: int, unit: int) -> np.ndarray:
    """log2(1 + i / unit) for i = 0..largest, in 1/32, rounded, (largest + 1,) uint8."""
    return np.array([min(255, round(BYTE_UNIT * math.log2(1 + i / unit))) for i in range(largest + 1)], np.uint8)


def known_table() -> np.ndarray:
    """What networks see of magnitudes 0..31, in cells: (32,) uint8."""
    return byte_logarithms(LARGEST_KNOWN, 1)


def quotient_table() -> np.ndarray:
    """What networks see of real numbers, in 1/16: (1024,) uint8."""
    return byte_logarithms(QUOTIENTS - 1, QUOTIENT_UNIT)
