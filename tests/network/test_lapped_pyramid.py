"""The transform: orthonormal, complete, exact towards pixels, the same for NumPy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec.network.lapped_pyramid import (
    LARGEST_COEFFICIENT,
    MATRIX_UNIT,
    Pyramid,
    coefficient_counts,
    cosines,
    from_positions,
    lapping_filter,
    to_positions,
)

STRIDES = [[32, 16, 8], [8, 4], [16, 8], [24, 8], [8]]


@pytest.mark.parametrize("strides", STRIDES, ids=str)
def test_every_coefficient_has_its_place(strides: list[int]) -> None:
    pyramid, counts = Pyramid.of(strides), coefficient_counts(strides)
    assert [len(where) for where in pyramid.places] == counts
    blocks = [(strides[0] // stride) ** 2 for stride in strides]
    assert np.dot(counts, blocks) == 3 * strides[0] ** 2
    for where, functions in zip(pyramid.places, pyramid.functions, strict=True):
        assert len(set(where.tolist())) == len(where)
        assert where.max() < 3 * len(functions) ** 2


@pytest.mark.parametrize("strides", STRIDES, ids=str)
def test_its_matrices_are_orthonormal(strides: list[int]) -> None:
    pyramid = Pyramid.of(strides)
    for matrix in (*pyramid.functions, *pyramid.filters):
        assert np.abs(matrix @ matrix.T / MATRIX_UNIT**2 - np.eye(len(matrix))).max() < 5e-4
    assert np.allclose(cosines(6) @ cosines(6).T, np.eye(6))
    assert np.allclose(lapping_filter(8) @ lapping_filter(8).T, np.eye(8))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(STRIDES), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_what_is_taken_apart_comes_back(strides: list[int], rows: int, columns: int, seed: int) -> None:
    """Energy stays, and pixels come back but for rounding."""
    pyramid = Pyramid.of(strides)
    planes = np.random.default_rng(seed).normal(0, 900, (3, rows * strides[0], columns * strides[0])).round()
    coefficients = pyramid.analysis(planes)
    assert sum(np.square(each).sum() for each in coefficients) == pytest.approx(np.square(planes).sum(), rel=1e-3)
    low = None
    for layer, each in enumerate(coefficients):
        low = pyramid.synthesis(layer, each.round(), low)
    assert np.abs(low - planes).max() < 6
    real = Pyramid([torch.from_numpy(m) for m in pyramid.functions], [torch.from_numpy(m) for m in pyramid.filters],
                   pyramid.places)
    tensor = None
    for layer, each in enumerate(coefficients):
        tensor = real.synthesis(layer, torch.from_numpy(each.round()), tensor)
    assert low is not None
    assert tensor is not None
    assert np.array_equal(tensor.numpy(), low)


def test_a_batch_is_its_pictures() -> None:
    pyramid, planes = Pyramid.of([16, 8]), np.random.default_rng(0).normal(0, 9, (2, 3, 32, 16))
    together = pyramid.analysis(planes)
    for i in range(2):
        assert all(np.allclose(a[i], b) for a, b in zip(together, pyramid.analysis(planes[i]), strict=True))


def test_smooth_pictures_have_small_high_coefficients() -> None:
    y, x = np.mgrid[:64, :64]
    planes = np.stack([100 * np.sin(x / 40), 80 * np.cos(y / 50), x + y]).astype(float)
    coarse, _, fine = Pyramid.of([32, 16, 8]).analysis(planes)
    assert np.square(fine).sum() < 1e-3 * np.square(coarse).sum()


def test_positions_and_planes() -> None:
    planes = np.arange(3 * 8 * 12).reshape(3, 8, 12)
    positions = to_positions(planes, 4)
    assert positions.shape == (2, 3, 48)
    assert positions[1, 2, 16 * 2 + 4 * 3 + 1] == planes[2, 4 + 3, 8 + 1]
    assert np.array_equal(from_positions(positions, 4), planes)


def test_no_sum_leaves_what_float64_holds() -> None:
    pyramid = Pyramid.of([32, 16, 8])
    assert 2**45 < pyramid.largest_sum(LARGEST_COEFFICIENT) < 2**53
