"""Exact integer arithmetic for the decoder, trainable with straight-through gradients.

Everything between a file and its pixels is a whole number. A convolution multiplies int8 weights with small integer
activations; its sums stay below 2**24, where float32 is exact in any order of summation, so every kernel, thread count
and device returns the same integer. Between convolutions there are only operations whose result IEEE 754 fixes (one
add, one multiply, round half to even, clamp, compare) and look-ups in stored tables.

``IntegerConv`` trains: rounding passes gradients straight through, and weights are quantised on the fly from float
parameters. ``FrozenConv`` holds the integers alone; a model of them is what a file refers to.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MachineError

# a forked process has none of the threads that OpenMP's team counts on, and would wait for them for ever
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))

SUM_LIMIT = 2**24  # float32 holds every integer up to here
UNIT = 128  # LSTM states, gates and their inputs count in 1/128
GATE_LIMIT = 1023  # gate inputs and cells are clamped to +-1023/128
EMBEDDING_UNIT = 32  # rectified activations count in 1/32 ...
EMBEDDING_LIMIT = 127  # ... from 0 to 127
WEIGHT_LIMIT = 127
PAIR_LIMIT = 64  # pmaddubsw adds two products of u8 and s8 in int16: 2 * 255 * 64 fits


class _StraightThroughRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def round_through(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes unchanged."""
    return _StraightThroughRound.apply(x) if x.requires_grad else torch.round(x)  # type: ignore[no-untyped-call]


def whole(x: Tensor, low: float, high: float) -> Tensor:
    """Real numbers -> the nearest whole ones from ``low`` to ``high``. Where no gradient is wanted, in their place."""
    return round_through(x.clamp(low, high)) if x.requires_grad else x.clamp_(low, high).round_()


def in_bytes(x: Tensor) -> Tensor:
    """Whole numbers -128..127, int8 where no gradient is wanted."""
    return x if x.requires_grad else x.to(torch.int8)


def rectify(x: Tensor) -> Tensor:
    """Real pre-activation -> whole number 0..127, both in 1/32; int8 where no gradient is wanted."""
    return in_bytes(whole(x, 0, EMBEDDING_LIMIT))


# (B, inputs, H, W) whole numbers of any type -> (B, outputs, H, W) sums and biases, float32
Convolution = Callable[[Tensor], Tensor]
Prepare = Callable[[Tensor, "Tensor | None", bool], Convolution]


def _byte_convolution(weight: Tensor, bias: Tensor | None, signed: bool) -> Convolution:
    """By oneDNN's kernels for bytes."""
    zero = 128 if signed else 0
    place = [1, 1], [weight.shape[-1] // 2] * 2, [1, 1], 1  # stride, padding, dilation, groups
    ones = torch.ones(len(weight), dtype=torch.float32, device="cpu")
    zeros = torch.zeros(len(weight), dtype=torch.int32, device="cpu")
    packed = torch.ops.onednn.qconv_prepack(weight.to(torch.int8), ones, 1.0, zero, *place)

    def convolve(x: Tensor) -> Tensor:
        x = x.to(torch.int8).view(torch.uint8) ^ zero  # to which the sign bit adds 128
        return torch.ops.onednn.qconv2d_pointwise(x, 1.0, zero, packed, ones, zeros, bias, *place, 1.0, 0,
                                                  torch.float32, "none", [], "")

    return convolve


def int8_convolution(weight: Tensor, bias: Tensor | None, signed: bool) -> Convolution:
    """By kernels for bytes: exact where VNNI instructions add in 32 bits; without them, sums of two saturate."""
    if not torch.cpu._is_vnni_supported():
        raise RuntimeError("this processor has no VNNI instructions")
    return _byte_convolution(weight, bias, signed)


def int16_convolution(weight: Tensor, bias: Tensor | None, signed: bool) -> Convolution:
    """By kernels for bytes that add two products in 16 bits, where those have room: inputs 0..127, or small weights."""
    if signed and weight.float().abs().max() > PAIR_LIMIT:
        return float32_convolution(weight, bias, signed)
    return _byte_convolution(weight, bias, signed)


def float32_convolution(weight: Tensor, bias: Tensor | None, signed: bool) -> Convolution:
    """Exact while no sum reaches 2**24, whatever the kernel."""
    weight, padding = weight.float().contiguous(memory_format=torch.channels_last), weight.shape[-1] // 2
    if not padding:  # one product of matrices
        matrix = weight.flatten(1)
        return lambda x: F.linear(x.float().permute(0, 2, 3, 1), matrix, bias).permute(0, 3, 1, 2)
    return lambda x: F.conv2d(x.float(), weight, bias, padding=padding)


def float64_convolution(weight: Tensor, bias: Tensor | None, signed: bool) -> Convolution:
    """The same integers by other kernels, slower: exact far beyond 2**24, should a float32 kernel not add plainly."""
    weight, bias, padding = weight.double(), None if bias is None else bias.double(), weight.shape[-1] // 2
    return lambda x: F.conv2d(x.double(), weight, bias, padding=padding).float()


# of whole weights -127..127 and biases, and inputs -128..127, or 0..127 if they are not signed; the fastest first
CONVOLUTIONS: dict[str, Prepare] = {"int8": int8_convolution, "int16": int16_convolution,
                                    "float32": float32_convolution, "float64": float64_convolution}

# inputs, outputs, kernel and size of the convolutions that are tried: kernels are chosen by shape
PROBES = [(64, 48, 1, 12), (64, 48, 1, 56), (64, 48, 3, 12), (64, 48, 3, 56), (1, 32, 3, 24), (12, 32, 3, 24),
          (32, 2, 3, 24), (16, 24, 5, 24), (96, 180, 1, 1), (7, 3, 3, 1)]


@functools.cache
def is_exact(name: str) -> bool:
    """Whether this machine has one of ``CONVOLUTIONS``, and it adds plainly."""
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.inference_mode(), torch.autocast("cpu", enabled=False), torch.device("cpu"):
        try:
            return all(_adds_plainly(CONVOLUTIONS[name], *shape, signed, limit, generator)
                       for shape in PROBES for signed in (False, True) for limit in (PAIR_LIMIT, WEIGHT_LIMIT))
        except (AttributeError, RuntimeError) as error:  # this torch has no such kernels
            if "allocate" in str(error):  # torch's way to run out of memory
                raise
            return False


def fastest_exact() -> str:
    """The first of ``CONVOLUTIONS`` that is exact on this machine. Raises MachineError if there is none."""
    if name := next(filter(is_exact, CONVOLUTIONS), None):
        return name
    raise MachineError("no convolution of this machine adds whole numbers exactly")


def _adds_plainly(prepare: Prepare, inputs: int, outputs: int, kernel: int, size: int, signed: bool, limit: int,
                  generator: torch.Generator) -> bool:
    """Against a product of matrices in float64, up to the largest sums of weights up to ``limit``."""
    x = torch.randint(-127 if signed else 0, 128, (1, inputs, size, size + 4), generator=generator).float()
    weight = torch.randint(-limit, limit + 1, (outputs, inputs, kernel, kernel), generator=generator)
    bias = torch.randint(-2**20, 2**20, (outputs,), generator=generator).float()
    weight[0], x[:, :, 4:8] = limit, 127
    expected = weight.double().flatten(1) @ F.unfold(x.double(), kernel, padding=kernel // 2)[0] + bias[:, None]
    x = x.contiguous(memory_format=torch.channels_last)
    return torch.equal(prepare(weight, bias, signed)(x).double().flatten(2)[0], expected)


class Integers(NamedTuple):
    """The numbers of a convolution: weight (outputs, inputs, kernel, kernel), whole, up to 127 in magnitude;
    multiplier (outputs,), float32, by which sums are multiplied; bias (outputs,), whole, or None."""

    weight: Tensor
    multiplier: Tensor
    bias: Tensor | None

    def largest_sum(self, input_limit: int) -> float:
        """The largest magnitude that any sum can reach, whatever the inputs up to ``input_limit``."""
        largest = self.weight.double().abs().flatten(1).sum(1) * input_limit
        return (largest if self.bias is None else largest + self.bias.abs()).max().item()


class IntegerConv(nn.Module):
    """A convolution of integer activations with int8 weights, to train.

    ``forward`` takes integers of magnitude at most ``input_limit``, each worth ``input_unit``, and returns the exact
    sums times one float32 multiplier per output channel, in ``output_unit``, a power of two, so that it changes no
    rounding. signed: whether there are activations below 0. weight_limit: of the magnitude of quantised weights; by
    default, the largest that ``int16_convolution`` takes.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, input_unit: float, input_limit: int,
                 output_unit: float = 1.0, signed: bool = True, weight_limit: int | None = None,
                 bias: bool = True, zero: bool = False):
        super().__init__()
        assert signed or input_limit <= EMBEDDING_LIMIT  # see ``int16_convolution``
        self.input_unit, self.input_limit, self.output_unit, self.signed = input_unit, input_limit, output_unit, signed
        self.weight_limit = weight_limit or (PAIR_LIMIT if signed else WEIGHT_LIMIT)
        bound = 0.0 if zero else math.sqrt(3 / (inputs * kernel * kernel))
        weight = torch.empty(outputs, inputs, kernel, kernel, dtype=torch.float32).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32)) if bias else None
        self.held: Integers | None = None  # see ``ConvDRAW.quantised_once``

    def quantised(self) -> Integers:
        """The integers that now stand for the weights, at the smallest scale at which they fit and sums are exact."""
        weight = self.weight.float()
        magnitude = weight.detach().abs().flatten(1)
        room = (0.9 * SUM_LIMIT) / self.input_limit - 0.5 * magnitude.shape[1]
        scale = torch.maximum(magnitude.amax(1) / self.weight_limit, magnitude.sum(1) / room).clamp_min(1e-8)
        multiplier, limit = scale * self.input_unit, 0.09 * SUM_LIMIT
        return Integers(round_through(weight / scale[:, None, None, None]), multiplier, None if self.bias is None else
                        round_through((self.bias.float() / multiplier).clamp(-limit, limit)))

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """(B, inputs, H, W) whole numbers of any type -> (B, outputs, H, W) real ones. ``x`` may hold some of the
        inputs, from ``first`` on, if the others are all 0."""
        weight, multiplier, bias = self.held or self.quantised()
        weight = weight[:, first:first + x.shape[1]]
        total = F.conv2d(x.to(weight.dtype), weight, padding=weight.shape[-1] // 2).float()
        if bias is not None:
            total = total + bias[:, None, None]
        return total * (multiplier / self.output_unit)[:, None, None]


class FrozenConv(nn.Module):
    """What an ``IntegerConv`` computes, from stored integers and by one of ``CONVOLUTIONS``."""

    def __init__(self, trained: IntegerConv, integers: Integers, convolution: str):
        super().__init__()
        self.integers, self.input_unit, self.signed = integers, trained.input_unit, trained.signed
        self._weight = integers.weight.to(torch.int8)
        self._bias = None if integers.bias is None else integers.bias.float()
        self._factor = (integers.multiplier / trained.output_unit)[:, None, None]
        self._prepare = CONVOLUTIONS[convolution]
        self._prepared: dict[tuple[int, int], Convolution] = {}  # by first and last input
        self._convolution(0, self._weight.shape[1])

    def _convolution(self, first: int, last: int) -> Convolution:
        """Of some of the inputs."""
        if (first, last) not in self._prepared:
            self._prepared[first, last] = self._prepare(self._weight[:, first:last], self._bias, self.signed)
        return self._prepared[first, last]

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """As ``IntegerConv.forward``; needs no gradients."""
        return self._convolution(first, first + x.shape[1])(x).mul_(self._factor)


def rectified_conv(inputs: int, outputs: int, kernel: int, *, output_unit: float = 1.0, zero: bool = False
                   ) -> IntegerConv:
    """A convolution of what ``rectify`` gives."""
    return IntegerConv(inputs, outputs, kernel, input_unit=1 / EMBEDDING_UNIT, input_limit=EMBEDDING_LIMIT,
                       output_unit=output_unit, signed=False, zero=zero)


def residual_layers(convolutions: Iterable[nn.Module], seen: Tensor) -> Tensor:
    """What ``rectify`` gives, (B, C, H, W), after each ``rectified_conv`` added to it and the sum was rectified."""
    for convolution in convolutions:
        seen = rectify(convolution(seen).add_(seen))
    return seen
