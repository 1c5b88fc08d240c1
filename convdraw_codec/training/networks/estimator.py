"""The estimator, trainable: see ``network.estimator``, which computes the same in bytes."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.estimator import AROUND, LOW_CELLS, LOW_LIMIT, POSITION_UNIT, OFFSET_BITS
from ...network.lapped_pyramid import block_functions, places
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes

POSITION = Output(POSITION_UNIT, ZERO_POINT)  # what the entry makes of coefficients, in cells
CHANGE = Output(32, ZERO_POINT)  # of activations
OFFSET = Output(2**OFFSET_BITS, ZERO_POINT)  # in cells


class EstimatorLayer(nn.Module):
    """The network of one layer."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        channels, count = config.estimator.channels, config.coefficients[layer]
        self.entry = TrainedConv(count, [(4 * channels, POSITION)], 1, signed=count, signed_unit=2, deviation=0.3)
        self.entry_bias = nn.Parameter(torch.zeros(4 * channels))
        signed = channels + (3 if layer else 0)
        self.mix = TrainedConv(signed, [(channels, RECTIFIED)], 3, signed=signed, signed_unit=POSITION_UNIT, deviation=0.3)
        self.biases = nn.Parameter(torch.zeros(len(config.steps), channels))
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, CHANGE)], 3, deviation=0.4)
                                    for _ in range(config.estimator.layers - 1))
        self.hidden_biases = nn.ParameterList(torch.zeros(channels) for _ in self.hidden)
        self.exit = TrainedConv(4 * channels, [(count, OFFSET)], 1, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(count))
        with torch.no_grad():
            pixels = torch.from_numpy(to_pixels(config.strides, layer)).float()
            rows = min(len(pixels) // 4, channels)
            for channel in range(channels):
                self.mix.weight[channel, 9 * channel + 4] += 2
            for square in range(4):  # the transform is a good start
                first, pixel = square * channels, square * len(pixels) // 4
                self.entry.weight[first:first + rows] += pixels[pixel:pixel + rows]

    def forward(self, numbers: Tensor, low: Tensor | None, t: int) -> Tensor:
        """Halves of cells, (B, coefficients, H/s, W/s), and what ``low_in_cells`` gives -> offsets in 1/64 of cells."""
        x = split_up(in_bytes(self.entry(_last(numbers), self.entry_bias)) - ZERO_POINT)
        x = in_bytes(self.mix(_last(x if low is None else torch.cat([x, low], dim=1)), self.biases[t]))
        for convolution, bias in zip(self.hidden, self.hidden_biases, strict=True):
            x = (x + in_bytes(convolution(x, bias)) - ZERO_POINT).clamp(0, 255)
        return in_bytes(self.exit(_last(put_together(x)), self.exit_bias)) - ZERO_POINT


class EstimatorNetwork(nn.Module):
    """The networks of all layers."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EstimatorLayer(config, layer) for layer in range(len(config.layers)))

    def forward(self, layer: int, t: int, middles: Tensor, low: Tensor | None) -> Tensor:
        """As ``network.estimator.Estimator.offsets``, less 128, with channels before positions."""
        cells = torch.from_numpy(np.maximum(self.config.cells(t + 1)[layer] >> 1, 1)).to(middles)[:, None, None]
        numbers = torch.div(middles, cells, rounding_mode="floor").clamp(1 - ZERO_POINT, ZERO_POINT - 1).float()
        seen = None if low is None else low_in_cells(low, self.config.steps[t].cell)
        return cast(Tensor, self.layers[layer](numbers, seen, t))

    def units(self, layer: int, t: int) -> Tensor:
        """As ``network.estimator.Estimator.units``, (coefficients, 1, 1) float32."""
        cells, later = self.config.cells(t + 1)[layer], self.config.next_cells(t)[layer]
        return torch.from_numpy(np.where(cells, cells, later).astype(np.float32))[:, None, None]


def to_pixels(strides: list[int], layer: int) -> np.ndarray:
    """What the coefficients of a position are in its block of pixels, but for what it shares with other blocks, in four
    squares, row by row: (3 n n, coefficients)."""
    functions = block_functions(strides)[layer]
    n, place = len(functions), places(strides)[layer]
    down, across = np.divmod(place % n**2, n)
    blocks = np.zeros((len(place), 3, n, n))
    blocks[np.arange(len(place)), place // n**2] = functions[down][:, :, None] * functions[across][:, None]
    squares = blocks.reshape(len(place), 3, 2, n // 2, 2, n // 2).transpose(2, 4, 1, 3, 5, 0)
    return squares.reshape(3 * n**2, len(place))


def split_up(x: Tensor) -> Tensor:
    """As ``network.estimator.split_up``, of (B, 4 channels, h, w)."""
    batch, channels, height, width = x.shape
    squares = x.view(batch, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
    return squares.reshape(batch, channels // 4, 2 * height, 2 * width)


def put_together(x: Tensor) -> Tensor:
    """The inverse."""
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return squares.reshape(batch, 4 * channels, height // 2, width // 2)


def low_in_cells(low: Tensor, cell: int) -> Tensor:
    """As ``network.estimator.low_in_cells``, less 128, of (B, 3, h, w): float32."""
    size, divisor = 2 * AROUND + 1, LOW_CELLS * cell
    pixels = low.clamp(-LOW_LIMIT, LOW_LIMIT).float()
    with torch.autocast(low.device.type, enabled=False):
        total = F.avg_pool2d(F.pad(pixels, [AROUND] * 4, mode="replicate"), size, 1, divisor_override=1)
    mean = (total + size**2 // 2).div(size**2, rounding_mode="floor")
    found = ((pixels - mean) * POSITION_UNIT + divisor // 2).div(divisor, rounding_mode="floor")
    return found.clamp(1 - ZERO_POINT, ZERO_POINT - 1)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
