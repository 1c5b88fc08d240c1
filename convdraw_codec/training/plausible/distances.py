"""How far the deep features of two pictures are from one another: place by place, or as textures."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOWS = 16, 8, 4  # positions on a side of a window, of the first stages: 32 pixels
LEAST = 1e-3  # of the squared norm of a covariance


def distances(found: list[Tensor], true: list[Tensor]) -> Tensor:
    """Of each picture, the mean over positions of the squared distance of unit vectors, by stages: (stages, B), 0 to 4.
    """
    each = [(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in zip(found, true, strict=True)]
    return torch.stack(each)


def _unit(features: Tensor) -> Tensor:
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-6)


def texture_distance(found: list[Tensor], true: list[Tensor], offset: int) -> Tensor:
    """What lies between textures, wherever their features are: of the covariances A and B of features inside each
    window, |A - B| / (|A| + |B|), mean over the windows and summed over the first stages. offset: of the windows, in
    positions of the coarsest of these stages."""
    total = []
    for a, b, side in zip(found, true, WINDOWS, strict=False):
        first, second = (_covariances(each, side, offset * side // WINDOWS[-1]) for each in (a, b))
        norms = [each.square().sum((1, 2)).add(LEAST).sqrt() for each in (first, second)]
        between = (first - second).square().sum((1, 2)).add(LEAST**2).sqrt()
        total.append((between / (norms[0] + norms[1])).mean())
    return torch.stack(total).sum()


def _covariances(features: Tensor, side: int, offset: int) -> Tensor:
    """Of each window of side x side positions, (windows, C, C)."""
    features = features[:, :, offset:, offset:]
    count, channels, height, width = features.shape
    rows, columns = height // side, width // side
    windows = features[:, :, :rows * side, :columns * side].reshape(count, channels, rows, side, columns, side)
    x = windows.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, side * side)
    x = x - x.mean(2, keepdim=True)
    return x @ x.transpose(1, 2) / side**2
