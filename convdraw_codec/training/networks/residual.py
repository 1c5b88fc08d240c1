"""The networks of the residual steps, trainable: see ``network.lossless``, which computes the same in bytes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...format.constants import RESIDUAL_STEPS
from ...network.config import SQUARE, ResidualSize
from ...network.convolution import ZERO_POINT
from ...network.lossless import CENTRES, LARGEST_SCALE, RESIDUAL_UNIT, SCALES, SMALLEST, TAIL, TAIL_SCALE, index_of
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes, round_through

CENTRE = Output(32, ZERO_POINT)  # in 1/4 level
SCALE = Output(16, 0)


class ResidualStep(nn.Module):
    """The network of one step. known: how many residuals of a square were sent before."""

    def __init__(self, size: ResidualSize, known: int):
        super().__init__()
        seen, channels = 3 * SQUARE**2 + known, size.channels
        self.entry = TrainedConv(seen, [(channels, RECTIFIED)], 3, signed=seen, signed_unit=32)
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, RECTIFIED)], 3) for _ in range(size.layers - 2))
        self.exit = TrainedConv(channels, [(1, CENTRE), (1, SCALE)], 3, deviation=0.1)
        self.biases = nn.ParameterList(torch.zeros(channels) for _ in range(size.layers - 1))
        self.exit_bias = nn.Parameter(torch.tensor([0.0, index_of(1.0) / SCALE.gain]))

    def forward(self, shown: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Centres in 1/4 level and indices of scales, whole numbers, (B, 1, H/2, W/2).

        shown: (B, 12, H/2, W/2), levels less 128. known: residuals in the order of steps, (B, known, H/2, W/2).
        """
        x = torch.cat([shown, (RESIDUAL_UNIT * known).clamp(1 - ZERO_POINT, ZERO_POINT - 1)], dim=1)
        for convolution, bias in zip([self.entry, *self.hidden], self.biases, strict=True):
            x = in_bytes(convolution(x.contiguous(memory_format=torch.channels_last), bias))
        centre, index = self.exit(x, self.exit_bias).chunk(2, dim=1)
        return in_bytes(centre) - ZERO_POINT, round_through(index.clamp(0, SCALES - 1))


class ResidualNetwork(nn.Module):
    """The networks of all residual steps."""

    def __init__(self, size: ResidualSize):
        super().__init__()
        self.steps = nn.ModuleList(ResidualStep(size, known) for known in range(RESIDUAL_STEPS))


def probability(distance: Tensor, index: Tensor) -> Tensor:
    """Mass of the level whose middle lies so far from the centre, in levels. index: of the scale, 0..63."""
    inverse = torch.exp(-math.log(SMALLEST) - math.log(LARGEST_SCALE / SMALLEST) / (SCALES - 1) * index)
    away = distance.abs()  # on this side, the logistic function does not saturate
    narrow, wide = (torch.sigmoid((0.5 - away) * i) - torch.sigmoid((-0.5 - away) * i)
                    for i in (inverse, inverse / TAIL_SCALE))
    return (1 - TAIL) * narrow + TAIL * wide


def nats(residual: Tensor, centre: Tensor, index: Tensor) -> Tensor:
    """What residuals in levels cost."""
    return -probability(residual - centre.float() / CENTRES, index.float()).clamp_min(2.0**-24).log()
