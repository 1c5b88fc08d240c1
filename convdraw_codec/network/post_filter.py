"""The post-filter, or retouch: what a picture most likely looked like, by a small network over the shown pixels.

It stands in for steps that are not stored, once, at the end, and nothing is fed back: so what follows in a longer file
still fits. Exact integers throughout, as in the decoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import RetouchSize
from .exact_conv import EMBEDDING_UNIT, IntegerConv, in_bytes, rectified_conv, rectify, residual_layers, round_through
from .transform.space_to_depth import from_patches, to_patches

MIDDLE, LEVEL_UNIT = 128, 64  # the network sees (level - 128) / 64
RETOUCH_UNIT = 16  # it answers in 1/16 of a level
STORED_UNIT = 64  # what is stored counts in 1/64 of a step


class Retouch(nn.Module):
    """A residual network of 3x3 convolutions that knows how much is stored. quantisers: of each step of the codec."""

    def __init__(self, size: RetouchSize, quantisers: list[float]):
        super().__init__()
        self.stride, patch, channels = size.stride, 3 * size.stride**2, size.channels
        self.reach = size.layers * size.stride  # pixels
        self.entry = IntegerConv(patch, channels, 3, input_unit=1 / LEVEL_UNIT, input_limit=MIDDLE,
                                 output_unit=1 / EMBEDDING_UNIT)
        self.stored = IntegerConv(len(quantisers) + 1, channels, 1, input_unit=1 / STORED_UNIT,
                                  input_limit=STORED_UNIT, output_unit=1 / EMBEDDING_UNIT, bias=False, zero=True)
        self.hidden = nn.ModuleList(rectified_conv(channels, channels, 3, output_unit=1 / EMBEDDING_UNIT)
                                    for _ in range(size.layers - 2))
        self.exit = rectified_conv(channels, patch, 3, zero=True)
        with torch.no_grad():  # near the identity, where few activations saturate
            for convolution in (self.entry, *self.hidden):
                convolution.weight.mul_(0.4)
        self.units = [quantisers[0], *quantisers]  # of an output of 1, in 1/16 levels

    def forward(self, shown: Tensor, stored: Tensor) -> Tensor:
        """What to add to pictures, in whole 1/16 levels, (B, 3, H, W).

        shown: (B, 3, H, W), whole levels 0..255; H and W multiples of the stride. stored: in 1/64 of a step, whole,
        (B,), less than all steps, except in training. Between two steps, all that depends on it is interpolated.
        """
        units = torch.tensor(self.units, dtype=torch.float32, device=shown.device)
        patches = to_patches(in_bytes(shown - MIDDLE), self.stride)
        steps = (stored // STORED_UNIT).clamp_max(len(units) - 2)
        share = stored - STORED_UNIT * steps
        before, after = (F.one_hot(steps + i, len(units)) for i in (0, 1))
        where = (STORED_UNIT - share)[:, None] * before + share[:, None] * after
        seen = rectify(self.entry(patches) + self.stored(where.to(shown.dtype)[:, :, None, None]))
        seen = residual_layers(self.hidden, seen)
        unit = ((STORED_UNIT - share) * units[steps] + share * units[steps + 1]) / STORED_UNIT
        return from_patches(round_through(self.exit(seen) * unit[:, None, None, None]), self.stride)


def share_known(information: Tensor, known: int) -> Tensor:
    """How much of a step is there, in 1/64: of the information expected of all maps, (..., maps), the first ones'."""
    return STORED_UNIT * information[..., :known].sum(-1) // information.sum(-1).clamp_min(1)
