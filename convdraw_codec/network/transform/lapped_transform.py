"""The lapped picture: blocks that share their borders, so that no block transform shows.

An orthonormal filter across the borders of the blocks turns a picture into its lapped picture, and a block
transform of that is a lapped orthogonal transform of the picture (Malvar's, as pre- and post-filter: Tran,
Liang, Tu, "Lapped transform via time-domain pre- and postfiltering", 2003). The model sees lapped pictures
alone: squared errors are the same there. Towards the picture the filter computes in exact integers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FILTER_UNIT = 2**14  # the stored filter counts in 1/2^14


def cosines(size: int, shift: float = 0.0) -> Tensor:
    """Orthonormal cosine transform, one basis function a row, float64: DCT-II, or with shift 0.5 DCT-IV."""
    n = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * (n[None, :] + 0.5) * (n[:, None] + shift)) * math.sqrt(2 / size)
    if shift == 0:
        basis[0] /= math.sqrt(2)
    return basis


def lapping_filter(block: int, turn_by: float | None = None) -> Tensor:
    """The filter across one border, (block, block) whole numbers in 1/2^14, float64; ``block`` is 1 or even.

    It leaves what is even about the border alone, and turns what is odd by J C_II' C_IV J (J reverses), or, for a
    block of four, by an angle (radians).
    """
    if block == 1:
        return torch.tensor([[FILTER_UNIT]], dtype=torch.float64)
    half = block // 2
    turn = (cosines(half).T @ cosines(half, 0.5)).flip(0, 1)
    if turn_by is not None:
        cosine, sine = math.cos(turn_by), math.sin(turn_by)
        turn = torch.tensor([[cosine, sine], [-sine, cosine]], dtype=torch.float64)
    one = torch.eye(half, dtype=torch.float64)
    fold = torch.cat([torch.cat([one, one.flip(0)], dim=1), torch.cat([one.flip(0), -one], dim=1)])
    return (fold @ torch.block_diag(one, turn) @ fold / 2 * FILTER_UNIT).round()


def _across(x: Tensor, matrix: Tensor, unit: float) -> Tensor:
    """Apply the matrix across every border of the blocks along the last axis; the picture's ends scale by ``unit``."""
    half = len(matrix) // 2
    if not half or x.shape[-1] <= len(matrix):
        return x * unit
    inner = x[..., half:-half].unflatten(-1, (-1, len(matrix))) @ matrix.T
    return torch.cat([x[..., :half] * unit, inner.flatten(-2), x[..., -half:] * unit], dim=-1)


def lap(picture: Tensor, matrix: Tensor) -> Tensor:
    """Picture -> lapped picture, (..., H, W) float32; H and W multiples of the filter's size."""
    matrix = (matrix / FILTER_UNIT).to(picture)
    for _ in range(2):
        picture = _across(picture, matrix, 1.0).transpose(-1, -2)
    return picture


def unlap(lapped: Tensor, matrix: Tensor) -> Tensor:
    """The inverse: whole numbers (..., H, W) up to 2^20 -> 2^28 times as large ones, float64, exact in any order."""
    lapped = lapped.double()
    matrix = matrix.to(lapped)
    for _ in range(2):
        lapped = _across(lapped, matrix.T, FILTER_UNIT).transpose(-1, -2)
    return lapped
