"""The stored tables: distributions of symbols, in which order they are sent, and logarithms in bytes.

What is known of a coefficient decides the family of the distribution of its next symbol, in cells of the step:

- FIRST: nothing is known. The symbol is the whole part k of the coefficient, sign and magnitude: a logistic
  distribution of scale s, in bins that are a cell wide, but for k = 0, which takes -1..1.
- ZERO: it was zero. The symbol is -1, 0 or 1: whether it stays so, or its sign.
- REFINE: it was not. The symbol is 0 or 1, the next bit of its magnitude.

Each has 64 rows, distributions from the stillest to the loudest. FIRST and ZERO have them once for each of four levels
of certainty about the sign: a positive symbol is one of the sign that is expected.

A prior learns to choose rows under the distributions that ``probabilities`` gives. What it then codes with is what the
symbols of each row turned out to be in photographs, in each pass.
"""

from __future__ import annotations

import math

import numpy as np

from ..format.constants import ESCAPE, LARGEST, PRECISION, SYMBOLS

ROWS = 64  # of a family and level
SIGN_ODDS = 0.0, 0.6, 1.4, 2.8  # logarithms of the odds that a sign is the expected one, of each level
SIGN_STEPS = 0.3, 1.0, 2.1  # from which odds on a level is taken
LEVELS = len(SIGN_ODDS)
FIRST, ZERO, REFINE = 0, ROWS * LEVELS, 2 * ROWS * LEVELS  # the first row of each family
ALL_ROWS = REFINE + ROWS
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 32.0  # of FIRST, log-spaced between
ODDS_UNIT = {ZERO: 4, REFINE: 6}  # rows count the logarithm of the odds in 1/4 and 1/6, ...
EVEN_ODDS = {ZERO: 40, REFINE: 32}  # ... from these, which stand for even odds
SLOPE_UNIT = 1024
QUIET = 2.0**-11  # a row is quiet if it leaves no more than this to other symbols than 0
TRUST = 200  # symbols that count for as much as what a row promises
LATE = SLOPE_UNIT // 4  # rows up to this slope, refinements and near-certain zeros, come at the end of their pass

BYTE_UNIT = 32  # bytes that networks see and pass on count in 1/32
LARGEST_KNOWN = 31  # magnitudes that networks tell apart
QUOTIENT_UNIT, QUOTIENTS = 16, 1024  # the table of logarithms goes in 1/16 up to 1023/16
FACTOR_UNIT = 64  # of what makes odds of offsets, which count in 1/64 as well


def scales() -> np.ndarray:
    """Of the rows of FIRST, in cells, (64,) float64."""
    return np.geomspace(SMALLEST_SCALE, LARGEST_SCALE, ROWS)


def probabilities() -> np.ndarray:
    """Of the symbols -15..15 in every row, (576, 31) float64; what is missing to 1 is beyond."""
    symbols = np.arange(-LARGEST, LARGEST + 1)
    size, result = abs(symbols), np.zeros((ALL_ROWS, len(symbols)))
    inverse = 1 / scales()[:, None]
    tail = 1 / (1 + np.exp(size * inverse)) - 1 / (1 + np.exp((size + 1) * inverse))
    result[FIRST:ZERO] = np.tile(np.where(size, tail, np.tanh(inverse / 2)), (LEVELS, 1))
    for family, last in ((ZERO, REFINE), (REFINE, ALL_ROWS)):
        one = 1 / (1 + np.exp(-(np.arange(ROWS) - EVEN_ODDS[family]) / ODDS_UNIT[family]))
        one = np.tile(one, (last - family) // ROWS)
        result[family:last, LARGEST] = 1 - one
        result[family:last, LARGEST + 1] = one / (2 if family == ZERO else 1)
    result[ZERO:REFINE, LARGEST - 1] = result[ZERO:REFINE, LARGEST + 1]
    agree = 1 / (1 + np.exp(-np.repeat(SIGN_ODDS, ROWS)))[:, None]
    for family in (FIRST, ZERO):
        rows = slice(family, family + ROWS * LEVELS)
        result[rows] *= np.where(symbols > 0, 2 * agree, np.where(symbols < 0, 2 - 2 * agree, 1))
    return result


def symbol_counts(symbols: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How often each row has each symbol, and an escape: (576, 32) int64."""
    places = np.where(np.abs(symbols) > LARGEST, ESCAPE, symbols + LARGEST)
    return np.bincount(rows.astype(np.int64) * SYMBOLS + places, minlength=ALL_ROWS * SYMBOLS).reshape(-1, SYMBOLS)


def frequency_table(counts: np.ndarray | int = 0) -> np.ndarray:
    """The frequencies to store, (576, 32) int32, each row summing to 2**24: of the symbols -15..15, and of an escape.
    counts: ``symbol_counts`` of photographs; without, what ``probabilities`` promises.

    No symbol that a row can have is left without: the likeliest gives what the others need.
    """
    mass = probabilities()
    mass = np.concatenate([mass, (1 - mass.sum(1, keepdims=True)).clip(0)], axis=1)
    mass = TRUST * mass + counts
    mass /= mass.sum(1, keepdims=True)
    can = np.ones_like(mass, bool)
    for rows, first in ((slice(ZERO, REFINE), LARGEST - 1), (slice(REFINE, ALL_ROWS), LARGEST)):
        can[rows] = False
        can[rows, first:LARGEST + 2] = True
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
    (576,) int32: a step sends rows of large slope first. 0 for quiet rows, which come last, in groups."""
    mass = probabilities()
    symbols = np.arange(-LARGEST, LARGEST + 1)
    outside = (1 - mass.sum(1)).clip(0)
    bits = -(mass * np.log2(mass.clip(1e-30))).sum(1) - outside * np.log2(outside.clip(1e-30)) + 8 * outside
    found = np.where(symbols, abs(symbols) + 0.5, 0.0)
    gain = mass @ found**2 + outside * (LARGEST + 1.5)**2
    one = mass[REFINE:, LARGEST + 1]
    gain[REFINE:] = one * (1 - one)  # of two halves of a cell, each with its middle
    quiet = 1 - mass[:, LARGEST] <= QUIET
    return np.where(quiet, 0, np.rint(SLOPE_UNIT * gain / bits)).astype(np.int32)


def byte_logarithms(largest: int, unit: int) -> np.ndarray:
    """log2(1 + i / unit) for i = 0..largest, in 1/32, rounded, (largest + 1,) uint8."""
    return np.array([min(255, round(BYTE_UNIT * math.log2(1 + i / unit))) for i in range(largest + 1)], np.uint8)


def known_table() -> np.ndarray:
    """What networks see of magnitudes 0..31, in cells: (32,) uint8."""
    return byte_logarithms(LARGEST_KNOWN, 1)


def quotient_table() -> np.ndarray:
    """What networks see of real numbers, in 1/16: (1024,) uint8."""
    return byte_logarithms(QUOTIENTS - 1, QUOTIENT_UNIT)


def sign_steps() -> np.ndarray:
    """``SIGN_STEPS`` in 1/4096, whole numbers."""
    return np.array([round(step * FACTOR_UNIT**2) for step in SIGN_STEPS])


def sign_thresholds(factors: np.ndarray) -> np.ndarray:
    """From which offset on each level of certainty is taken, (coefficients, 3) uint8. factors: what makes odds of
    offsets, for each coefficient, (coefficients,) int32 in 1/64."""
    odds = factors[:, None].astype(np.int64) * np.arange(128)
    return (odds[:, None] < sign_steps()[:, None]).sum(2).astype(np.uint8)
