"""Cells that nest, and priors that are distributions."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from convdraw_codec.format.constants import PRECISION, SYMBOLS
from convdraw_codec.network.priors import (
    FAMILIES,
    FIRST,
    LEAK,
    LEAK_SCALE,
    REFINE,
    SCALES,
    SHELF,
    ZERO,
    bits,
    frequency_table,
    index_moved,
    index_of,
    probability,
    scale_of,
    table_index,
)
from convdraw_codec.network.quantiser import REFINEMENT, compand, expand, half_cells, target

WHOLE = torch.arange(-400, 401, dtype=torch.float64)


@pytest.mark.parametrize("family", range(FAMILIES))
@pytest.mark.parametrize("index", [0, 17, 40, 55])
def test_masses_sum_to_one(family: Any, index: int) -> None:
    masses = probability(WHOLE, torch.tensor(float(index), dtype=torch.float64), family)
    assert (masses >= 0).all()
    assert masses.sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("latent", [-3, -1, 0, 1, 2, 5])
def test_first_is_a_binned_logistic_with_a_dead_zone(latent: int) -> None:
    index = torch.tensor(30.0, dtype=torch.float64)
    logistic = stats.logistic(scale=scale_of(index, FIRST).item())
    low, high = (-1, 1) if latent == 0 else sorted((latent, latent + math.copysign(1, latent)))
    expected = logistic.cdf(high) - logistic.cdf(low)
    assert probability(torch.tensor(float(latent), dtype=torch.float64), index, FIRST).item() == pytest.approx(expected)


@pytest.mark.parametrize("latent", [-2, -1, 0, 1])
def test_refine_is_an_exponential_slope_and_a_shelf(latent: int) -> None:
    index = torch.tensor(45.0, dtype=torch.float64)
    slope = scale_of(index, REFINE).item()
    shelf = SHELF * integrate.quad(lambda y: math.exp(-slope * y), 0, 1)[0]

    def density(y: float) -> float:
        return math.exp(-slope * y) if -1 <= y < 1 else shelf if 1 <= y < 2 else 0

    inside = integrate.quad(density, latent, latent + 1)[0] / integrate.quad(density, -1, 2, points=[1])[0]
    leak = stats.logistic(scale=LEAK_SCALE)
    outside = leak.cdf(latent + 1) - leak.cdf(latent)
    expected = (1 - LEAK[REFINE]) * inside + LEAK[REFINE] * outside
    actual = probability(torch.tensor(float(latent), dtype=torch.float64), index, REFINE).item()
    assert actual == pytest.approx(expected)


@given(st.floats(-60, 60))
def test_companding_is_invertible(u: float) -> None:
    value = torch.tensor(u, dtype=torch.float64)
    assert expand(compand(value)).item() == pytest.approx(u)


@given(st.floats(-50, 50))
def test_cells_nest(u: float) -> None:
    """Passes with quantisers 1, 1/2, 1/4: each leaves the coefficient in its cell, and sends one of 3 or 2 latents."""
    assume(abs(u * 8 - round(u * 8)) > 1e-6)  # not on the border of a cell
    value = torch.tensor([u], dtype=torch.float64)
    sent, sign = torch.zeros(1, dtype=torch.float64), None
    for level in range(3):
        cell = REFINEMENT**-level
        latent = target((value - sent * cell / 2) / cell, sign).round()
        if level:
            assert latent in ((-1, 0, 1) if sign == 0 else (-1, 0))
        sent = sent + half_cells(latent, sign)
        zero = sent == 0
        error = (value - sent * cell / 2).abs()
        assert (error <= torch.where(zero, cell, cell / 2) + 1e-9).all()
        sign, sent = sent.sign(), sent * REFINEMENT


def test_bits_choose_the_family_by_the_sign() -> None:
    latent, index = torch.tensor([1.0, 1.0, -1.0, 1.0]), torch.full((4,), 35.0)
    cost = bits(latent, index, torch.tensor([0.0, 1.0, -1.0, -1.0]))
    out, back = probability(torch.tensor([1.0, -1.0]), index[:2], REFINE)
    expected = [probability(latent[:1], index[:1], ZERO)[0], out, back, out]
    assert cost.tolist() == pytest.approx([-math.log2(p) for p in expected], rel=1e-4)


def test_rows_of_the_table() -> None:
    index, sign = torch.tensor([3.0, 3.0, 3.0]), torch.tensor([0.0, 1.0, -1.0])
    assert table_index(index, None).tolist() == [3, 3, 3]
    assert table_index(index, sign).tolist() == [67, 131, 131]


def test_scales_are_log_spaced() -> None:
    for family in range(FAMILIES):
        scales = scale_of(torch.arange(SCALES, dtype=torch.float64), family)
        ratios = scales[1:] / scales[:-1]
        assert torch.allclose(ratios, ratios[0].expand_as(ratios))
        assert index_of(scales[20].item(), family) == pytest.approx(20)


def test_the_frequency_table_is_close_to_the_masses() -> None:
    table = frequency_table(SYMBOLS, PRECISION)
    assert table.shape == (FAMILIES * SCALES, SYMBOLS)
    assert (table >= 1).all()
    assert (table.sum(1) == 2**PRECISION).all()
    mass = probability(torch.tensor(1.0, dtype=torch.float64), torch.tensor(25.0, dtype=torch.float64), ZERO)
    assert table[SCALES + 25, 16].item() / 2**PRECISION == pytest.approx(mass.item(), abs=1e-5)


@pytest.mark.parametrize("family", range(FAMILIES))
def test_wider_cells_leave_a_scale_as_it_is_in_levels(family: Any) -> None:
    """Widths count in cells, slopes are so much a cell."""
    wider = scale_of(torch.tensor(20.0 + index_moved(2.0, family)), family)
    expected = scale_of(torch.tensor(20.0), family) * (2 if family == REFINE else 0.5)
    assert wider.item() == pytest.approx(expected.item(), rel=1e-5)
