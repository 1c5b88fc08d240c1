"""The forecast, trainable: see ``network.forecast``, which computes the same in bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.forecast import LOW_CELLS, LOW_LIMIT, LOW_PIXELS, OFFSET_BITS, POSITION_UNIT
from ...network.lapped_pyramid import block_functions, places
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes
from .estimator import CHANGE, means_around, residual_layers

POSITION = Output(POSITION_UNIT, ZERO_POINT)  # what the entry makes of coefficients, in cells
OFFSET = Output(2**OFFSET_BITS, ZERO_POINT)  # in cells


class ForecastNetwork(nn.Module):
    """A residual network that knows which step comes next."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, channels, count = config, config.forecast.channels, config.coefficients[-1]
        low = 3 if len(config.layers) > 1 else 0
        self.entry = TrainedConv(count, [(4 * channels, POSITION)], 1, signed=count, signed_unit=2, deviation=0.15)
        self.entry_bias = nn.Parameter(torch.zeros(4 * channels))
        self.mix = TrainedConv(channels + low, [(channels, RECTIFIED)], 3, signed=channels + low,
                               signed_unit=POSITION_UNIT, deviation=0.3)
        self.biases = nn.Parameter(torch.zeros(len(config.steps), channels))
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, CHANGE)], 3, deviation=0.4)
                                    for _ in range(config.forecast.layers - 1))
        self.hidden_biases = nn.ParameterList(torch.zeros(channels) for _ in self.hidden)
        outputs = count + (LOW_PIXELS if low else 0)
        self.exit = TrainedConv(4 * channels, [(outputs, OFFSET)], 1, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(outputs))
        with torch.no_grad():
            pixels = torch.from_numpy(to_pixels(config.strides)).float()
            rows = min(len(pixels) // 4, channels)
            for channel in range(channels):
                self.mix.weight[channel, 9 * channel + 4] += 1
            for square in range(4):  # the transform is a good start; half of it, since activations are cut off
                first, pixel = square * channels, square * len(pixels) // 4
                self.entry.weight[first:first + rows] += pixels[pixel:pixel + rows] / 2

    def forward(self, t: int, middles: Tensor, low: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """As ``network.forecast.Forecast.before``, offsets less 128, with channels before positions, float32; from
        the middles of cells, (B, coefficients, H/s, W/s) in 1/8 of a level. Gradients pass through all rounding."""
        cells = torch.from_numpy(np.maximum(self.config.cells(t)[-1] >> 1, 1)).to(middles)[:, None, None]
        halves = torch.div(middles, cells, rounding_mode="floor").clamp(1 - ZERO_POINT, ZERO_POINT - 1).float()
        x, cell = self.entry(_last(halves), self.entry_bias), self.config.steps[t - 1].cell
        x = split_up(in_bytes(x) - ZERO_POINT)
        if low is not None:
            x = torch.cat([x, low_in_cells(low, cell)], dim=1)
        x = in_bytes(self.mix(_last(x), self.biases[t]))
        x = residual_layers(self.hidden, self.hidden_biases, x)
        found = in_bytes(self.exit(_last(put_together(x)), self.exit_bias)) - ZERO_POINT
        if low is None:
            return found, None
        return found[:, :-LOW_PIXELS], placed(low.float(), split_up(found[:, -LOW_PIXELS:]), cell)

    def units(self, t: int) -> list[Tensor]:
        """As ``Config.units``, (coefficients, 1, 1) float32 a layer."""
        device = self.exit_bias.device
        return [torch.from_numpy(units).float().to(device)[:, None, None] for units in self.config.units(t)]


def placed(middles: Tensor, offsets: Tensor, units: Tensor | int) -> Tensor:
    """As ``network.forecast.placed``, of offsets less 128."""
    moved = offsets * units / 2**OFFSET_BITS
    return middles + moved + ((moved + 0.5).floor() - moved).detach()


def displaced(values: Tensor, middles: Tensor, units: Tensor) -> Tensor:
    """As ``network.forecast.displaced``, less 128, float32."""
    offsets = torch.div((values - middles) * 2**OFFSET_BITS, units, rounding_mode="floor")
    return offsets.clamp(1 - ZERO_POINT, ZERO_POINT - 1).float()


def to_pixels(strides: list[int]) -> np.ndarray:
    """What the coefficients of a position of the finest layer are in its block of pixels, but for what it shares with
    other blocks, in four squares, row by row: (3 n n, coefficients)."""
    functions = block_functions(strides)[-1]
    n, place = len(functions), places(strides)[-1]
    down, across = np.divmod(place % n**2, n)
    blocks = np.zeros((len(place), 3, n, n))
    blocks[np.arange(len(place)), place // n**2] = functions[down][:, :, None] * functions[across][:, None]
    squares = blocks.reshape(len(place), 3, 2, n // 2, 2, n // 2).transpose(2, 4, 1, 3, 5, 0)
    return squares.reshape(3 * n**2, len(place))


def split_up(x: Tensor) -> Tensor:
    """As ``network.forecast.split_up``, of (B, 4 channels, h, w)."""
    batch, channels, height, width = x.shape
    squares = x.view(batch, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
    return squares.reshape(batch, channels // 4, 2 * height, 2 * width)


def put_together(x: Tensor) -> Tensor:
    """The inverse."""
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return squares.reshape(batch, 4 * channels, height // 2, width // 2)


def low_in_cells(low: Tensor, cell: int) -> Tensor:
    """As ``network.forecast.low_in_cells``, less 128, of (B, 3, h, w): float32."""
    pixels, divisor = low.clamp(-LOW_LIMIT, LOW_LIMIT).float(), LOW_CELLS * cell
    with torch.autocast(low.device.type, enabled=False):
        mean = means_around(pixels, 1)
    found = ((pixels - mean) * POSITION_UNIT + divisor // 2).div(divisor, rounding_mode="floor")
    return found.clamp(1 - ZERO_POINT, ZERO_POINT - 1)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
