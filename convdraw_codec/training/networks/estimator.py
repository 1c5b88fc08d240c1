"""The estimator, trainable: see ``network.estimator``, which computes the same in bytes."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.estimator import OFFSET_UNIT, TOLD_APART, reference_cells
from ...network.features import LOW_CHANNELS
from ...network.tables import QUOTIENT_UNIT, QUOTIENTS, quotient_table
from .byte_conv import RECTIFIED, SIGNED, TrainedConv, in_bytes, round_through
from .prior import low_differences


class EstimatorLayer(nn.Module):
    """The network of one layer."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        channels, count, steps = config.estimator.channels, config.coefficients[layer], len(config.steps)
        seen = 2 * count + (LOW_CHANNELS if layer else 0)
        self.entry = TrainedConv(seen, [(channels, RECTIFIED)], 1, signed=seen, signed_unit=16)
        self.biases = nn.Parameter(torch.zeros(steps, channels))
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, RECTIFIED)], 3)
                                    for _ in range(config.estimator.layers - 2))
        self.hidden_biases = nn.ParameterList(torch.zeros(channels) for _ in self.hidden)
        self.exit = TrainedConv(channels, [(count, SIGNED)], 1, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(count))
        self.shifts = nn.Parameter(torch.zeros(steps, TOLD_APART))  # in cells

    def forward(self, inputs: Tensor, t: int) -> Tensor:
        """Bytes less 128, (B, inputs, H/s, W/s) -> offsets in 1/128 of a cell, (B, coefficients, H/s, W/s)."""
        x = in_bytes(self.entry(inputs, self.biases[t]))
        for convolution, bias in zip(self.hidden, self.hidden_biases, strict=True):
            x = in_bytes(convolution(x, bias))
        return in_bytes(self.exit(x, self.exit_bias)) - ZERO_POINT


class EstimatorNetwork(nn.Module):
    """The networks of all layers."""

    table: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EstimatorLayer(config, layer) for layer in range(len(config.layers)))
        self.register_buffer("table", torch.from_numpy(quotient_table().astype(np.int64) >> 1), persistent=False)

    def companded(self, numbers: Tensor, divisor: int) -> Tensor:
        """As ``network.features.companded``, less 128: float32."""
        quotients = torch.div(numbers.abs() * QUOTIENT_UNIT, divisor, rounding_mode="floor").clamp_max(QUOTIENTS - 1)
        return self.table[quotients.long()].clamp_max(ZERO_POINT - 1) * numbers.sign().float()

    def forward(self, layer: int, t: int, known: Tensor, cells: Tensor, low: Tensor | None) -> Tensor:
        """Values of coefficients after step t was begun, (B, coefficients, H/s, W/s), in 1/8 of a level, real numbers
        with whole values. Arguments as ``network.estimator.Estimator.estimate``, with channels before positions."""
        network, unit = cast(EstimatorLayer, self.layers[layer]), reference_cells(self.config, layer, t)
        sign, size = known.sign().float(), known.abs()
        middles = (2 * known.float() + sign) * torch.div(cells, 2, rounding_mode="floor")
        inputs = [self.companded(middles, unit), self.companded(middles.abs(), unit)]
        if low is not None:
            inputs.append(self.companded(low_differences(low), 2 * unit))
        together = torch.cat(inputs, dim=1).contiguous(memory_format=torch.channels_last)
        offsets = network(together, t)
        shifts = round_through(network.shifts[t] * OFFSET_UNIT)
        shift = shifts[size.clamp(1, TOLD_APART).long() - 1] * sign
        room = torch.where(size > 0, OFFSET_UNIT // 2, OFFSET_UNIT).float()
        moved = torch.minimum(torch.maximum(torch.where(sign < 0, -offsets, offsets) + shift, -room), room)
        widths = torch.where(cells > 0, cells, 2 * unit).float()
        added = moved * widths / OFFSET_UNIT
        return middles + added + ((added + 0.5).floor() - added).detach()
