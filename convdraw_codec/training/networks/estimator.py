"""The estimator, trainable: see ``network.estimator``, which computes the same in bytes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.estimator import ADDED_BITS, AROUND, PLANE_LIMIT, SEEN_UNIT
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes

CHANGE = Output(32, ZERO_POINT)  # of activations
ADDED = Output(64, ZERO_POINT)  # to pixels, in cells


class EstimatorNetwork(nn.Module):
    """A residual network of 3x3 convolutions that knows how much is stored."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, size = config, config.estimator
        patch, channels = 3 * size.stride**2, size.channels
        self.entry = TrainedConv(patch, [(channels, RECTIFIED)], 3, signed=patch, signed_unit=SEEN_UNIT)
        self.biases = nn.Parameter(torch.zeros(len(config.steps), channels))
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, CHANGE)], 3, deviation=0.4)
                                    for _ in range(size.layers - 2))
        self.hidden_biases = nn.ParameterList(torch.zeros(channels) for _ in self.hidden)
        self.exit = TrainedConv(channels, [(patch, ADDED)], 3, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(patch))

    def forward(self, planes: Tensor, t: int) -> Tensor:
        """The picture (B, 3, H, W) that is known after step t was begun -> as it most likely is: whole numbers in 1/8
        of a level, float32. Gradients pass through their rounding."""
        stride, cell = self.config.estimator.stride, self.config.steps[t].cell
        planes = planes.clamp(-PLANE_LIMIT, PLANE_LIMIT).float()
        patches = F.pixel_unshuffle(planes, stride)
        with torch.autocast(planes.device.type, enabled=False):
            seen = in_cells(patches, cell).contiguous(memory_format=torch.channels_last)
        x = in_bytes(self.entry(seen, self.biases[t]))
        x = residual_layers(self.hidden, self.hidden_biases, x)
        added = in_bytes(self.exit(x, self.exit_bias)) - ZERO_POINT
        added = F.pixel_shuffle(added, stride) * (cell / 2**ADDED_BITS)
        return (planes + added + ((added + 0.5).floor() - added).detach()).clamp(-PLANE_LIMIT, PLANE_LIMIT)


def residual_layers(hidden: Iterable[nn.Module], biases: Iterable[Tensor], x: Tensor) -> Tensor:
    """As ``network.estimator.residual_layers``."""
    for convolution, bias in zip(hidden, biases, strict=True):
        x = (x + in_bytes(convolution(x, bias)) - ZERO_POINT).clamp(0, 255)
    return x


def means_around(sums: Tensor, each: int) -> Tensor:
    """As ``network.estimator.means_around``, of (B, channels, h, w), float32."""
    size, count = 2 * AROUND + 1, each * (2 * AROUND + 1) ** 2
    total = F.avg_pool2d(F.pad(sums, [AROUND] * 4, mode="replicate"), size, 1, divisor_override=1)
    return (total + count // 2).div(count, rounding_mode="floor")


def in_cells(patches: Tensor, cell: int) -> Tensor:
    """As ``network.estimator.in_cells``, less 128, of (B, 3 n n, h, w)."""
    batch, channels, height, width = patches.shape
    each = patches.reshape(batch, 3, channels // 3, height, width)
    mean = means_around(each.sum(2), channels // 3)
    found = ((each - mean[:, :, None]) * SEEN_UNIT + cell // 2).div(cell, rounding_mode="floor")
    return found.clamp(1 - ZERO_POINT, ZERO_POINT - 1).reshape(patches.shape)
