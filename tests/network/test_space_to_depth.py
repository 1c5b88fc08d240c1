"""Patches against torch's own way to cut them."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from convdraw_codec.network.transform.space_to_depth import enlarged, from_patches, to_patches

PICTURES = {
    "whole": lambda x: x,
    "part": lambda x: x[:, :, 32:96, 64:128],
    "by positions": lambda x: x.contiguous(memory_format=torch.channels_last),
    "one colour": lambda x: x[:1, :, :1, :1].expand(1, 3, 64, 96),
}


@pytest.mark.parametrize("stride", [1, 2, 8, 32])
@pytest.mark.parametrize("kind", PICTURES)
def test_patches_are_those_of_torch(kind: Any, stride: int) -> None:
    picture = PICTURES[kind](torch.randn(2, 3, 96, 128))
    patches = to_patches(picture, stride)
    assert torch.equal(patches, F.pixel_unshuffle(picture, stride))
    assert patches.is_contiguous(memory_format=torch.channels_last)
    for same in (patches, patches.contiguous()):
        assert torch.equal(from_patches(same, stride), picture)


def test_enlarged_positions_are_squares() -> None:
    positions = torch.arange(2 * 3 * 2 * 4).view(2, 3, 2, 4).to(memory_format=torch.channels_last)
    large = enlarged(positions, 3)
    assert large.shape == (2, 3, 6, 12)
    assert all(torch.equal(large[:, :, y::3, x::3], positions) for y in range(3) for x in range(3))
