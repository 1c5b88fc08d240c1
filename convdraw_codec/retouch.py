"""The retouch: what a picture cut short most likely looked like, by a small network over the shown pixels.

It stands in for the steps that are not stored, once, at the end, and nothing is fed back: so what follows in a
longer file still fits. Exact integers throughout, as in the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import ConfigError
from .integer import EMBEDDING_LIMIT, EMBEDDING_UNIT, IntegerConv, rectify, round_through

MIDDLE, LEVEL_UNIT = 128, 64  # the network sees (level - 128) / 64
RETOUCH_UNIT = 16  # it answers in 1/16 of a level


@dataclass(frozen=True)
class RetouchSize:
    """stride: pixels per position. channels: of every hidden layer. layers: convolutions, 3x3, at least 2."""

    stride: int
    channels: int
    layers: int

    def __post_init__(self) -> None:
        if any(type(value) is not int or value < 1 for value in vars(self).values()) or self.layers < 2:
            raise ConfigError(f"{self}: the retouch has a stride and channels of at least 1 and 2 layers")


class Retouch(nn.Module):
    """A residual network of 3x3 convolutions that knows how many steps are stored.

    quantisers: of each step of the codec.
    """

    units: Tensor

    def __init__(self, size: RetouchSize, quantisers: list[float]):
        super().__init__()
        self.stride, patch, channels = size.stride, 3 * size.stride**2, size.channels
        self.reach = size.layers * size.stride  # pixels
        self.entry = IntegerConv(patch, channels, 3, input_unit=1 / LEVEL_UNIT, input_limit=MIDDLE)
        self.stored = IntegerConv(len(quantisers), channels, 1, input_unit=1.0, input_limit=1, bias=False, zero=True)
        self.hidden = nn.ModuleList(IntegerConv(channels, channels, 3, input_unit=1 / EMBEDDING_UNIT,
                                                input_limit=EMBEDDING_LIMIT) for _ in range(size.layers - 2))
        self.exit = IntegerConv(channels, patch, 3, input_unit=1 / EMBEDDING_UNIT, input_limit=EMBEDDING_LIMIT,
                                zero=True)
        with torch.no_grad():  # near the identity, where few activations saturate
            for convolution in (self.entry, *self.hidden):
                convolution.weight.mul_(0.4)
        units = torch.tensor([quantisers[0], *quantisers[:-1]], dtype=torch.float32)
        self.register_buffer("units", units, persistent=False)  # of an output of 1: the last quantiser / 16 levels

    def forward(self, shown: Tensor, stored: Tensor) -> Tensor:
        """What to add to pictures, in whole 1/16 levels, (B, 3, H, W).

        shown: (B, 3, H, W), whole levels 0..255; H and W multiples of the stride. stored: whole steps of each, (B,),
        less than all.
        """
        patches = F.pixel_unshuffle(shown - MIDDLE, self.stride).contiguous(memory_format=torch.channels_last)
        which = F.one_hot(stored, len(self.units)).to(shown.dtype)[:, :, None, None]
        seen = rectify(self.entry(patches) + self.stored(which))
        for convolution in self.hidden:
            seen = rectify(convolution(seen) + seen / EMBEDDING_UNIT)
        return F.pixel_shuffle(round_through(self.exit(seen) * self.units[stored][:, None, None, None]), self.stride)
