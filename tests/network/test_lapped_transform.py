"""The lapped picture: orthonormal, invertible, flat where the picture is flat."""

from typing import Any

import pytest
import torch

from convdraw_codec.network.transform.lapped_transform import FILTER_UNIT, lap, lapping_filter, unlap

from ..conftest import synthetic


@pytest.mark.parametrize("block", [1, 2, 4, 8, 16])
def test_the_filter_is_orthonormal(block: int) -> None:
    matrix = lapping_filter(block) / FILTER_UNIT
    assert torch.allclose(matrix @ matrix.T, torch.eye(block, dtype=torch.float64), atol=3e-4)


def test_energy_and_flat_pictures_stay() -> None:
    matrix, x = lapping_filter(8), torch.randn(3, 64, 48) * 100
    assert lap(x, matrix).square().sum().item() == pytest.approx(x.square().sum().item(), rel=1e-3)
    flat = torch.full((3, 64, 48), 77.0)
    assert torch.allclose(lap(flat, matrix), flat, atol=1e-2)


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (64, 48)])
def test_unlap_inverts_lap(shape: Any) -> None:
    matrix = lapping_filter(8)
    picture = torch.from_numpy(synthetic(*shape)).permute(2, 0, 1).float()
    canvas = (lap(picture, matrix) * 16).round()
    back = unlap(canvas, matrix)
    assert torch.equal(back, back.round())
    assert (back / FILTER_UNIT**2 / 16 - picture).abs().max() < 0.2


def test_it_smooths_over_borders() -> None:
    """What a block holds alone reaches, in the picture, half a block into its neighbours."""
    lapped = torch.zeros(24, 24)
    lapped[8:16, 8:16] = 1000
    rows = unlap(lapped, lapping_filter(8)).abs().sum(1)
    assert (rows[4:20] > 0).all()
    assert not rows[:4].any()
    assert not rows[20:].any()
