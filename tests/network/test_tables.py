"""The stored tables: distributions that sum to one, in the order of what they are worth."""

import numpy as np
import pytest

from convdraw_codec.format.constants import ESCAPE, LARGEST, PRECISION
from convdraw_codec.network.tables import (
    ALL_ROWS,
    FIRST,
    LEVELS,
    QUIET,
    REFINE,
    ROWS,
    SIGN_ODDS,
    ZERO,
    frequency_table,
    known_table,
    probabilities,
    quotient_table,
    scales,
    sign_thresholds,
    slope_table,
    symbol_counts,
)


def test_frequencies_sum_to_a_power_of_two() -> None:
    table = frequency_table()
    assert table.shape == (ALL_ROWS, ESCAPE + 1)
    assert (table.sum(1) == 2**PRECISION).all()
    can = table > 0
    assert can[:ZERO].all()
    assert (can[ZERO:REFINE].sum(1) == 3).all()
    assert (can[REFINE:].sum(1) == 2).all()
    share = table[:, :ESCAPE] / 2**PRECISION
    assert np.abs(share - probabilities()).max() < 1e-5


def test_frequencies_follow_counts_where_there_are_many() -> None:
    rows = np.repeat([20, ZERO + 30, REFINE + 30], 100_000)
    symbols = np.random.default_rng(0).choice([-1, 0, 1], len(rows), p=[0.1, 0.2, 0.7])
    symbols[rows >= REFINE] = np.abs(symbols[rows >= REFINE])
    symbols[:1000] = 40  # escaped
    counts, table = symbol_counts(symbols, rows), frequency_table()
    assert counts.sum() == len(rows)
    assert counts[20, ESCAPE] == 1000
    found = frequency_table(counts)
    assert (found.sum(1) == 2**PRECISION).all()
    assert np.array_equal(found > 0, table > 0)
    counted = counts.sum(1) > 0
    assert np.array_equal(found[~counted], table[~counted])
    assert found[counted] / 2**PRECISION == pytest.approx(counts[counted] / 100_000, abs=2e-3)


def test_the_first_family_is_logistic() -> None:
    """Counted in samples: the whole part of a number, with a dead zone of two cells."""
    rng, row = np.random.default_rng(0), 40
    numbers = np.trunc(rng.logistic(0, scales()[row], 400_000)).astype(int)
    for k in (-3, -1, 0, 1, 2, 5):
        assert (numbers == k).mean() == pytest.approx(probabilities()[row, k + LARGEST], abs=3e-3)


def test_signs_are_as_certain_as_their_level_says() -> None:
    mass = probabilities()
    assert np.array_equal(mass[:ROWS], mass[:ROWS, ::-1])
    for level, odds in enumerate(SIGN_ODDS):
        for family in (FIRST, ZERO):
            rows = mass[family + ROWS * level:family + ROWS * (level + 1)]
            assert np.allclose(rows[:, LARGEST], mass[family:family + ROWS, LARGEST])
            assert np.allclose(np.log(rows[:, LARGEST + 1] / rows[:, LARGEST - 1]), odds)
    assert mass[ZERO + 40, LARGEST] == 0.5
    assert mass[REFINE + 32, LARGEST] == 0.5


def test_thresholds_part_the_levels() -> None:
    thresholds = sign_thresholds(np.array([-64, 0, 64, 256]))
    assert thresholds.shape == (4, LEVELS - 1)
    assert (thresholds[:2] == 128).all()  # never reached
    assert (np.diff(thresholds[2:].astype(int), axis=1) > 0).all()
    assert (thresholds[3] < thresholds[2]).all()
    assert thresholds[2, 1] == 64  # 64 times 64 are odds of 1


def test_slopes_are_what_a_bit_takes_away() -> None:
    """In samples of a coefficient that is found or refined, from its middle or from zero."""
    slopes = slope_table()
    assert np.array_equal(slopes == 0, probabilities()[:, LARGEST] >= 1 - QUIET)
    assert slopes[REFINE + 32] == 1024 // 4  # a quarter of a squared cell for a bit
    assert slopes[ZERO + 35] > slopes[ZERO + 10] > 100  # rarely found, and little
    assert slopes[ZERO + 3 * ROWS + 35] > slopes[ZERO + 35]  # a sign that is expected costs less
    assert (np.diff(slopes[FIRST + 10:FIRST + ROWS]) > 0).all()


def test_logarithms() -> None:
    assert known_table()[[0, 1, 3, 31]].tolist() == [0, 32, 64, 160]
    assert quotient_table()[[0, 16, 48]].tolist() == [0, 32, 64]
    assert (np.diff(quotient_table().astype(int)) >= 0).all()
