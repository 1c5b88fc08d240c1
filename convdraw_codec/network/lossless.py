"""The residual steps: after the steps of the canvas, they make every pixel exact.

The pixels of each 2x2 square come one after the other, green before red before blue: twelve steps. Each has a small
network, which sees the shown picture and every residual so far, and predicts centre and scale of a mixture of two
logistic distributions for each of the next residuals. Exact integers throughout, as in the decoder.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from ..format.constants import RESIDUAL_STEPS
from .config import SQUARE, ResidualSize
from .exact_conv import EMBEDDING_UNIT, IntegerConv, rectified_conv, rectify, residual_layers, whole
from .post_filter import LEVEL_UNIT, MIDDLE
from .transform.space_to_depth import to_patches

PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))  # (y, x) in the square
COLOURS = (1, 0, 2)
# of each step, the channel among those of a patch
ORDER = [colour * SQUARE**2 + y * SQUARE + x for y, x in PLACES for colour in COLOURS]
RESIDUAL_UNIT, RESIDUAL_LIMIT = 4, 127  # the networks see residuals in 4 levels, up to 127 of them
CENTRES, SCALES = 4, 64  # a centre counts in 1/4 level; scales are log-spaced ...
SMALLEST, LARGEST = 0.1, 24.0  # ... between these, in levels
INDEX_UNIT = 16  # scale indices per unit of a network's output
TAIL, TAIL_SCALE = 0.1, 3.0  # share of the wider part of the mixture, and how much wider it is

assert len(ORDER) == RESIDUAL_STEPS


class ResidualStep(nn.Module):
    """The network of one step. known: how many residuals of a square were sent before."""

    def __init__(self, size: ResidualSize, known: int):
        super().__init__()
        channels = size.channels
        self.look = IntegerConv(3 * SQUARE**2, channels, 3, input_unit=1 / LEVEL_UNIT, input_limit=MIDDLE,
                                output_unit=1 / EMBEDDING_UNIT)
        self.known: IntegerConv | None = None
        if known:
            self.known = IntegerConv(known, channels, 3, input_unit=1 / RESIDUAL_UNIT, input_limit=RESIDUAL_LIMIT,
                                     output_unit=1 / EMBEDDING_UNIT, bias=False)
        self.hidden = nn.ModuleList(rectified_conv(channels, channels, 3, output_unit=1 / EMBEDDING_UNIT)
                                    for _ in range(size.layers - 2))
        self.exit = rectified_conv(channels, 2, 3)
        with torch.no_grad():  # near the identity, where few activations saturate
            for convolution in (self.look, *self.hidden):
                convolution.weight.mul_(0.4)
            self.exit.weight.mul_(0.1)
            self.exit.get_parameter("bias").copy_(torch.tensor([0.0, index_of(1.0) / INDEX_UNIT], dtype=torch.float32))

    def forward(self, shown: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Centres in 1/4 level and indices of scales, both whole, (B, 1, H/2, W/2).

        shown: (B, 12, H/2, W/2), levels less 128. known: residuals in the order of steps, (B, known, H/2, W/2).
        """
        seen = self.look(shown)
        if self.known is not None:
            seen = seen + self.known(known.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT))
        seen = residual_layers(self.hidden, rectify(seen))
        centre, index = self.exit(seen).chunk(2, dim=1)
        return whole(centre * CENTRES, -128 * CENTRES, 127 * CENTRES), whole(index * INDEX_UNIT, 0, SCALES - 1)


class Residual(nn.Module):
    """The networks of all residual steps."""

    def __init__(self, size: ResidualSize):
        super().__init__()
        self.reach = size.layers * SQUARE  # pixels
        self.steps = nn.ModuleList(ResidualStep(size, known) for known in range(RESIDUAL_STEPS))

    def step(self, i: int) -> ResidualStep:
        """The network of the residual step i, counted from 0."""
        return cast(ResidualStep, self.steps[i])


def squares(planes: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) -> squares, (B, 12, H/2, W/2), in the order of the steps."""
    return to_patches(planes, SQUARE)[:, ORDER].contiguous(memory_format=torch.channels_last)


def place_of(i: int) -> tuple[int, int, int]:
    """Colour, row and column in its square of what the residual step i sends."""
    colour, place = divmod(ORDER[i], SQUARE**2)
    return colour, *divmod(place, SQUARE)


def index_of(scale: float) -> float:
    """Scale in levels -> index (real)."""
    return math.log(scale / SMALLEST) / math.log(LARGEST / SMALLEST) * (SCALES - 1)


def probability(distance: Tensor, index: Tensor) -> Tensor:
    """Mass of the level whose middle lies so far from the centre, in levels. index: of the scale, 0..63."""
    inverse = torch.exp(-math.log(SMALLEST) - math.log(LARGEST / SMALLEST) / (SCALES - 1) * index)
    away = distance.abs()  # on this side, the logistic function does not saturate
    narrow, wide = (torch.sigmoid((0.5 - away) * i) - torch.sigmoid((-0.5 - away) * i)
                    for i in (inverse, inverse / TAIL_SCALE))
    return (1 - TAIL) * narrow + TAIL * wide


def split_centre(centre: Tensor) -> tuple[Tensor, Tensor]:
    """Centre in 1/4 level -> the level at or below it (halves up), and what is left, in 1/4 level, 0..3 for -2..1."""
    level = ((centre + CENTRES // 2) / CENTRES).floor()
    return level, centre + CENTRES // 2 - CENTRES * level


def frequency_table(symbols: int, precision: int) -> Tensor:
    """The table to store, (256, symbols) int64, rows summing to 2**precision: row 64 c + i for what is left of the
    centre, c, and the scale i. Symbols as in ``priors.frequency_table``."""
    from .priors import table_of

    largest = symbols // 2 - 1
    residual = torch.arange(-largest, largest + 1, dtype=torch.float64)
    left = torch.arange(CENTRES, dtype=torch.float64)[:, None, None] / CENTRES - 0.5
    mass = probability(residual - left, torch.arange(SCALES, dtype=torch.float64)[None, :, None])
    return table_of(mass.flatten(0, 1), precision)
