"""Convolutions from bytes to bytes, trainable with straight-through gradients.

A decoder computes with whole numbers alone: see ``network.convolution``, which runs what is trained here. Rounding
passes gradients straight through, and weights are rounded on the fly from real parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.convolution import SUM_LIMIT, WEIGHT_LIMIT, ZERO_POINT
from ...network.tables import BYTE_UNIT


class _StraightThroughRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def round_through(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes unchanged."""
    return cast(Tensor, _StraightThroughRound.apply(x))  # type: ignore[no-untyped-call]


SIGNED_UNIT = 128
BIAS_LIMIT = SUM_LIMIT // 16  # of what is added to sums


class Output(NamedTuple):
    """What a real output v becomes: the byte gain v + offset, rounded and cut off."""

    gain: float
    offset: int


RECTIFIED = Output(BYTE_UNIT, 0)  # 0..8, in 1/32
GATE = Output(64, ZERO_POINT)  # a logistic function made of straight lines, in 1/256
SIGNED = Output(SIGNED_UNIT, ZERO_POINT)  # -1..1, in 1/128


class Quantised(NamedTuple):
    """Whole weights, and of each output the factor that makes bytes of its sums; the latter without gradient."""

    weight: Tensor
    factor: Tensor


class TrainedConv(nn.Module):
    """A convolution of whole numbers with weights of 7 bits.

    signed: how many of its inputs, the first ones, come as bytes less 128, each worth 1/``signed_unit``; the others are
    worth 1/32. outputs: how many of each kind. ``weight`` is kept as a matrix, (outputs, inputs kernel kernel), as Muon
    wants it. Its biases are the callers': see ``forward``.
    """

    gain: Tensor
    offset: Tensor
    units: Tensor

    def __init__(self, inputs: int, outputs: Sequence[tuple[int, Output]], kernel: int, *, signed: int = 0,
                 signed_unit: int = SIGNED_UNIT, deviation: float = 1.0):
        super().__init__()
        self.inputs, self.kernel, self.signed = inputs, kernel, signed
        each = [output for count, output in outputs for _ in range(count)]
        self.register_buffer("gain", torch.tensor([float(output.gain) for output in each]), persistent=False)
        self.register_buffer("offset", torch.tensor([float(output.offset) for output in each]), persistent=False)
        units = torch.full((inputs, kernel * kernel), 1 / BYTE_UNIT)
        units[:signed] = 1 / signed_unit
        self.register_buffer("units", units.flatten(), persistent=False)
        fan_in = inputs * kernel * kernel
        self.weight = nn.Parameter(torch.randn(len(each), fan_in) * deviation * math.sqrt(2 / fan_in))
        self.held: Quantised | None = None  # see ``held``

    def quantised(self) -> Quantised:
        """The whole numbers that now stand for the weights, at the smallest scale at which they and the offset fit."""
        weight = self.weight * self.units
        magnitude = weight.detach().abs()
        room = 0.6 * SUM_LIMIT / 255 - 0.5 * magnitude.shape[1]
        scale = torch.maximum(magnitude.amax(1) / WEIGHT_LIMIT, magnitude.sum(1) / room)
        scale = torch.maximum(scale, self.offset / (self.gain * BIAS_LIMIT / 2)).clamp_min(1e-9)
        return Quantised(round_through(weight / scale[:, None]), scale * self.gain)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(B, inputs, H, W) whole numbers, and a real bias for each output, (outputs,) or (B, outputs), -> (B, outputs,
        H, W), before rounding."""
        weight, factor = self.held or self.quantised()
        kernels = weight.view(-1, self.inputs, self.kernel, self.kernel)
        total = F.conv2d(x.to(weight.dtype), kernels, padding=self.kernel // 2).float()
        shift = round_through((bias * self.gain + self.offset) / factor)
        return (total + shift[..., None, None]) * factor[:, None, None]

    def hold(self, dtype: torch.dtype) -> None:
        """Quantise once, for all uses until ``release``."""
        weight, factor = self.quantised()
        self.held = Quantised(weight.to(dtype), factor)  # exact in bfloat16: -63..63

    def release(self) -> None:
        """Quantise at every use from now on."""
        self.held = None

    def integers(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights, (outputs, inputs, kernel, kernel) int8, and factors, (outputs,) float32, of a model file."""
        weight, factor = self.quantised()
        kernels = weight.view(-1, self.inputs, self.kernel, self.kernel)
        return kernels.to(torch.int8).cpu().numpy(), factor.float().cpu().numpy()

    def integer_bias(self, bias: Tensor) -> np.ndarray:
        """Of real biases (..., outputs), those that a decoder adds to its sums of bytes, int32."""
        weight, factor = self.quantised()
        sums = ((bias * self.gain + self.offset) / factor).round().clamp(-BIAS_LIMIT, BIAS_LIMIT)
        return (sums - self._shift(weight)).to(torch.int32).cpu().numpy()

    def thaw(self, weight: np.ndarray, factor: np.ndarray) -> None:
        """Take weights that are quantised to those integers again."""
        scale = torch.from_numpy(factor).to(self.gain) / self.gain
        whole = torch.from_numpy(weight).to(self.gain).flatten(1)
        self.weight.copy_(whole * scale[:, None] / self.units)

    def real_bias(self, bias: np.ndarray) -> Tensor:
        """The inverse of ``integer_bias``, after ``thaw``."""
        weight, factor = self.quantised()
        return ((torch.from_numpy(bias).to(factor) + self._shift(weight)) * factor - self.offset) / self.gain

    def _shift(self, weight: Tensor) -> Tensor:
        """What bytes that stand for 0 add to sums."""
        return ZERO_POINT * weight.view(-1, self.inputs, self.kernel**2)[:, :self.signed].sum((1, 2))


def in_bytes(x: Tensor, low: float = 0, high: float = 255) -> Tensor:
    """The nearest whole numbers from ``low`` to ``high``."""
    return round_through(x.clamp(low, high))
