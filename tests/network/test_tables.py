"""The stored tables: distributions that sum to one, in the order of what they are worth."""

import numpy as np
import pytest

from convdraw_codec.format.constants import ESCAPE, LARGEST, PRECISION
from convdraw_codec.network.tables import (
    FAMILIES,
    FIRST,
    REFINE,
    ROWS,
    ZERO,
    frequency_table,
    known_table,
    probabilities,
    quotient_table,
    scales,
    slope_table,
)


def test_frequencies_sum_to_a_power_of_two() -> None:
    table = frequency_table()
    assert table.shape == (FAMILIES * ROWS, ESCAPE + 1)
    assert (table.sum(1) == 2**PRECISION).all()
    can = table > 0
    assert can[:ROWS].all()
    assert (can[ROWS * ZERO:ROWS * REFINE].sum(1) == 3).all()
    assert (can[ROWS * REFINE:].sum(1) == 2).all()
    share = table[:, :ESCAPE] / 2**PRECISION
    assert np.abs(share - probabilities()).max() < 1e-5


def test_the_first_family_is_logistic() -> None:
    """Counted in samples: the whole part of a number, with a dead zone of two cells."""
    rng, row = np.random.default_rng(0), 40
    numbers = np.trunc(rng.logistic(0, scales()[row], 400_000)).astype(int)
    for k in (-3, -1, 0, 1, 2, 5):
        assert (numbers == k).mean() == pytest.approx(probabilities()[row, k + LARGEST], abs=3e-3)


def test_signs_are_even() -> None:
    mass = probabilities()
    assert np.array_equal(mass[:ROWS * REFINE], mass[:ROWS * REFINE, ::-1])
    assert mass[ROWS * ZERO + 48, LARGEST] == 0.5
    assert mass[ROWS * REFINE + 32, LARGEST] == 0.5


def test_slopes_are_what_a_bit_takes_away() -> None:
    """In samples of a coefficient that is found or refined, from its middle or from zero."""
    slopes = slope_table()
    assert (slopes > 0).all()
    assert slopes[ROWS * REFINE + 32] == 1024 // 4  # a quarter of a squared cell for a bit
    assert slopes[ROWS * ZERO + 40] > slopes[ROWS * ZERO + 10] > 100  # rarely found, and little
    loud = slopes[ROWS * FIRST:ROWS * FIRST + ROWS]
    assert (np.diff(loud[10:]) > 0).all()


def test_logarithms() -> None:
    assert known_table()[[0, 1, 3, 31]].tolist() == [0, 32, 64, 160]
    assert quotient_table()[[0, 16, 48]].tolist() == [0, 32, 64]
    assert (np.diff(quotient_table().astype(int)) >= 0).all()
