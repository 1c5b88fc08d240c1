"""The texture network, trainable: see ``plausible.texture``, which computes the same in bytes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.estimator import PLANE_LIMIT
from ...plausible.texture import ADDED, NOISE, SEEN, TextureSize
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes
from .estimator import CHANGE, in_cells, residual_layers
from .forecast import put_together, split_up

SIGNED_UNIT = 32  # levels, and noise, that are worth 1
TEXTURE = Output(64, ZERO_POINT)  # what is added, in 32 levels


class TextureNetwork(nn.Module):
    """What is added to a faithful picture: few channels at half the finest stride, many at that stride."""

    def __init__(self, config: Config, size: TextureSize):
        super().__init__()
        self.config, self.size, self.stride = config, size, config.strides[-1] // 2
        patch, steps, states = 3 * self.stride**2, len(config.steps), sum(layer.state for layer in config.layers)
        seen = patch + NOISE
        self.entry = TrainedConv(seen, [(size.fine, RECTIFIED)], 3, signed=seen, signed_unit=SIGNED_UNIT)
        self.biases = nn.Parameter(torch.zeros(steps, size.fine))
        self.mix = TrainedConv(states + 4 * size.fine, [(size.channels, RECTIFIED)], 1, signed=states)
        self.mix_biases = nn.Parameter(torch.zeros(steps, size.channels))
        self.hidden, self.hidden_biases = _residual(size.channels, size.layers)
        self.spread = TrainedConv(size.channels, [(4 * size.fine, CHANGE)], 1, deviation=0.4)
        self.spread_bias = nn.Parameter(torch.zeros(4 * size.fine))
        self.last, self.last_biases = _residual(size.fine, size.last)
        self.exit = TrainedConv(size.fine, [(patch, TEXTURE)], 3, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(patch))

    def forward(self, planes: Tensor, states: list[Tensor], noise: Tensor, t: Tensor) -> Tensor:
        """What to add, (B, 3, H, W) whole numbers in 1/8 of a level, to the faithful pictures ``planes`` after the
        steps t, (B,), were begun. states: h of each layer, (B, state, H/s, W/s) bytes. noise: (B, NOISE, H/n, W/n),
        bytes less 128, n being half the finest stride. Gradients pass through all rounding."""
        patches = F.pixel_unshuffle(planes.clamp(-PLANE_LIMIT, PLANE_LIMIT), self.stride)
        seen = torch.cat([in_cells(patches, SEEN), noise], 1)
        fine = in_bytes(self.entry(seen.contiguous(memory_format=torch.channels_last), self.biases[t]))
        height = fine.shape[2] // 2
        around = [_enlarged(h - ZERO_POINT, height // h.shape[2]) for h in states]
        x = in_bytes(self.mix(torch.cat([*around, put_together(fine)], 1), self.mix_biases[t]))
        x = residual_layers(self.hidden, self.hidden_biases, x)
        spread = split_up(in_bytes(self.spread(x, self.spread_bias)) - ZERO_POINT)
        fine = residual_layers(self.last, self.last_biases, (fine + spread).clamp(0, 255))
        added = F.pixel_shuffle(in_bytes(self.exit(fine, self.exit_bias)) - ZERO_POINT, self.stride)
        return added * ADDED


def _residual(channels: int, count: int) -> tuple[nn.ModuleList, nn.ParameterList]:
    """So many 3x3 convolutions for ``residual_layers``, and their biases."""
    convolutions = nn.ModuleList(TrainedConv(channels, [(channels, CHANGE)], 3, deviation=0.4) for _ in range(count))
    return convolutions, nn.ParameterList(torch.zeros(channels) for _ in range(count))


def _enlarged(h: Tensor, ratio: int) -> Tensor:
    """Each position becomes a square."""
    return h.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
