"""The retouch, trainable: see ``network.retouch``, which computes the same in bytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.retouch import ADDED_UNIT
from .byte_conv import RECTIFIED, Output, TrainedConv, in_bytes

CHANGE = Output(32, ZERO_POINT)  # of activations
ADDED = Output(64, ZERO_POINT)  # to levels


class RetouchNetwork(nn.Module):
    """A residual network of 3x3 convolutions that knows how much is stored."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, size = config, config.retouch
        patch, channels = 3 * size.stride**2, size.channels
        self.entry = TrainedConv(patch, [(channels, RECTIFIED)], 3, signed=patch, signed_unit=64)
        self.biases = nn.Parameter(torch.zeros(len(config.steps), channels))
        self.hidden = nn.ModuleList(TrainedConv(channels, [(channels, CHANGE)], 3, deviation=0.4)
                                    for _ in range(size.layers - 2))
        self.hidden_biases = nn.ParameterList(torch.zeros(channels) for _ in self.hidden)
        self.exit = TrainedConv(channels, [(patch, ADDED)], 3, deviation=0.02)
        self.exit_bias = nn.Parameter(torch.zeros(patch))

    def forward(self, shown: Tensor, t: int) -> Tensor:
        """Pictures (B, 3, H, W) after step t was begun, in whole levels -> what to add to them, in levels."""
        stride = self.config.retouch.stride
        patches = nn.functional.pixel_unshuffle(shown - ZERO_POINT, stride)
        x = in_bytes(self.entry(patches.contiguous(memory_format=torch.channels_last), self.biases[t]))
        for convolution, bias in zip(self.hidden, self.hidden_biases, strict=True):
            x = (x + in_bytes(convolution(x, bias)) - ZERO_POINT).clamp(0, 255)
        added = in_bytes(self.exit(x, self.exit_bias)) - ZERO_POINT
        return nn.functional.pixel_shuffle(added, stride) * (self.config.steps[t].quantiser / ADDED_UNIT)
