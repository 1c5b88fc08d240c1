"""The transform at the start: orthonormal, complete, and overlapping in the coarser layers."""

from typing import Any

import pytest
import torch

from convdraw_codec.network.transform.nested_dct import SPREAD_LIMIT, Overlap, nested_transform


@pytest.mark.parametrize("strides", [[32, 16, 8], [12, 4], [8, 4], [4, 2], [16, 2], [2]])
def test_every_coefficient_belongs_to_one_layer(strides: Any) -> None:
    """Parseval: over all layers, the coefficients hold exactly the energy of the picture."""
    x = torch.randn(1, 3, 4 * strides[0], 3 * strides[0], dtype=torch.float64)
    overlap, energy = Overlap(strides), torch.zeros((), dtype=torch.float64)
    for layer, (stride, (basis, deviation, luma)) in enumerate(zip(strides, nested_transform(strides), strict=True)):
        assert torch.allclose(basis @ basis.T, torch.eye(len(basis)), atol=1e-5)
        assert (deviation.diff() <= 0).all()
        assert 3 * luma.sum() == len(luma)
        patches = torch.nn.functional.pixel_unshuffle(overlap.gather(x, layer), stride)
        energy += torch.einsum("np,bpyx->bnyx", basis.double(), patches).square().sum()
    assert energy.item() == pytest.approx(x.square().sum().item(), rel=2e-4)


@pytest.mark.parametrize("strides", [[32, 16, 8], [12, 4], [8, 4]])
@pytest.mark.parametrize("blocks", [(1, 1), (1, 3), (4, 2)])
def test_spread_inverts_gather(strides: Any, blocks: Any) -> None:
    overlap = Overlap(strides)
    x = torch.randn(1, 3, *(strides[0] * n for n in blocks)) * 100
    for layer in range(len(strides)):
        back = overlap.spread((overlap.gather(x, layer) * 16).round(), layer)
        assert torch.equal(back, back.round())
        assert (back / 16 - x).abs().max() < 0.2


def test_coarse_functions_are_smooth_across_blocks_and_end_within_the_next() -> None:
    """The mean of one block of stride 32 fades over its borders, and reaches no block beyond its neighbours."""
    strides = [32, 16, 8]
    basis = nested_transform(strides)[0][0]
    coefficients = torch.zeros(1, len(basis), 5, 5)
    coefficients[0, 0, 2, 2] = 1000.0
    blocks = torch.nn.functional.pixel_shuffle(torch.einsum("np,bnyx->bpyx", basis, coefficients), 32)
    profile = Overlap(strides).spread((blocks * 16).round(), 0)[0, 0, 80] / 16
    inside, outside = profile[64:96], torch.cat([profile[32:64], profile[96:128]])
    assert outside.abs().max() > 0.1 * inside.abs().max()
    assert not profile[:32].any()
    assert not profile[128:].any()
    assert profile.diff().abs().max() < 0.5 * blocks[0, 0, 80].diff().abs().max()


@pytest.mark.parametrize("strides", [[32, 16, 8], [12, 4], [8, 4]])
def test_no_picture_leaves_the_exact_range(strides: Any) -> None:
    """The bound holds for pictures that drive single samples as far as they go, and lies within float64 and float32."""
    overlap = Overlap(strides)
    sums, result = overlap.largest_sum()
    assert sums < 2**53
    assert result < 2**24
    impulse = torch.zeros(1, 1, 3 * strides[0], 3 * strides[0])
    middle = len(impulse[0, 0]) // 2
    most = 0.0
    for offset in range(0, strides[0], 3):
        impulse.zero_()[..., middle + offset // 2, middle + offset // 2] = SPREAD_LIMIT
        loudest = torch.where(overlap.spread(impulse, 0) < 0, -1.0, 1.0) * SPREAD_LIMIT  # spread is orthonormal
        most = max(most, overlap.spread(loudest, 0).abs().max().item())
    assert SPREAD_LIMIT < most <= result


def test_loud_pictures_are_computed_exactly() -> None:
    """float64 against Python's own whole numbers."""
    overlap = Overlap([8, 4])
    x = torch.full((1, 1, 16, 16), float(SPREAD_LIMIT))
    x[..., ::3] *= -1
    shrink = [[int(v) for v in row] for row in overlap.shrink(0).tolist()]
    cross = [[int(v) for v in row] for row in overlap.filter(0).tolist()]

    def runs(vector: Any, matrix: Any) -> Any:
        width = len(matrix[0])
        return [sum(a * b for a, b in zip(row, vector[i:i + width], strict=True))
                for i in range(0, len(vector), width) for row in matrix]

    def filtered(vector: Any) -> Any:
        half, end = len(cross) // 2, len(vector)
        inner = [sum(cross[i][j] * vector[k + i] for i in range(len(cross)))
                 for k in range(half, end - half, len(cross)) for j in range(len(cross))]
        return [v << 14 for v in vector[:half]] + inner + [v << 14 for v in vector[-half:]]

    def both(rows: Any, change: Any) -> Any:
        columns = [change(list(column)) for column in zip(*rows, strict=True)]
        return [change(list(row)) for row in zip(*columns, strict=True)]

    def whole(rows: Any) -> Any:
        def nearest(v: Any) -> Any:
            low, rest = divmod(v, 1 << 28)
            return low + (rest > 1 << 27 or (rest == 1 << 27 and low % 2))
        return [[nearest(v) for v in row] for row in rows]

    small = whole(both([[int(v) for v in row] for row in x[0, 0].tolist()], lambda v: runs(v, shrink)))
    new = whole(both(small, filtered))
    change = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(new, small, strict=True)]
    upward = [list(column) for column in zip(*shrink, strict=True)]
    expected = torch.tensor(whole(both(change, lambda v: runs(v, upward)))) + x[0, 0]
    assert torch.equal(overlap.spread(x, 0)[0, 0], expected.float())
