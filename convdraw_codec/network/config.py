"""The configuration of a model: layers, steps, and the sizes of its networks. Every value is checked here, once.

A configuration may come from an unknown file: every size has a bound, so that a model can be laid out without memory
(on torch's meta device) and compared with what the file holds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..configuration import Sizes
from ..errors import ConfigError
from ..format.constants import RESIDUAL_STEPS
from .quantiser import REFINEMENT
from .transform.nested_dct import coefficient_counts

MAX_STEPS = 255 - RESIDUAL_STEPS  # a file counts all of them in a byte
SQUARE = 2  # pixels on a side of the squares that the residual steps code in turn


@dataclass(frozen=True)
class Layer(Sizes):
    """One resolution of the model.

    stride: pixels per position, a multiple of the stride of the next layer. state: channels of the decoder's recurrent
    state h^d; encoder_state: those of h^e. embedding: channels to which canvas, latents and history are each reduced.
    context: hidden channels of the prior. kernel: of all convolutions that look around, an odd size.
    """

    stride: int
    state: int
    encoder_state: int
    embedding: int
    context: int
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel % 2 == 0:
            raise ConfigError(f"the kernel of a layer has an odd size, not {self.kernel}")


@dataclass(frozen=True)
class Step:
    """One visit of a layer, which sends latents for its coefficients first..last-1.

    quantiser: width of a latent's cell, in pixel levels of an orthonormal basis. If an earlier step sent
    some of these coefficients, this step refines them, and its quantiser is exactly half of that one: then the
    others count as zero so far.
    """

    layer: int
    quantiser: float
    first: int
    last: int

    def __post_init__(self) -> None:
        if not (type(self.layer) is type(self.first) is type(self.last) is int and 0 <= self.first < self.last):
            raise ConfigError(f"{self}: layer, first and last are whole numbers, first below last")
        if type(self.quantiser) not in (int, float) or not 1e-3 <= self.quantiser <= 1e5:
            raise ConfigError(f"{self}: a quantiser lies between 0.001 and 100000")


@dataclass(frozen=True)
class RetouchSize(Sizes):
    """stride: pixels per position. channels: of every hidden layer. layers: convolutions, 3x3, at least 2."""

    stride: int
    channels: int
    layers: int


@dataclass(frozen=True)
class ResidualSize(Sizes):
    """channels: of every hidden layer. layers: 3x3 convolutions of each residual step, at least 2."""

    channels: int
    layers: int


@dataclass(frozen=True)
class Config:
    """Layers from coarse to fine, the schedule of steps that visit them, the retouch (a post-filter) at the end, and
    the residual steps of a lossless file."""

    name: str
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    retouch: RetouchSize
    residual: ResidualSize

    def __post_init__(self) -> None:
        strides = self.strides
        if not strides or any(a <= b or a % b for a, b in itertools.pairwise(strides)) or strides[0] % SQUARE:
            raise ConfigError(f"the strides {strides} are not even multiples of one another, from coarse to fine")
        if strides[-1] % 2 and strides[-1] > 1:
            raise ConfigError(f"the finest stride is 1 or even, not {strides[-1]}")
        if strides[0] % self.retouch.stride:
            raise ConfigError(f"the retouch's stride, {self.retouch.stride}, does not divide {strides[0]}")
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise ConfigError(f"a model has 1 to {MAX_STEPS} steps, not {len(self.steps)}")
        quantisers = [np.zeros(n) for n in self.coefficients]  # the last one of each coefficient; 0 if never sent
        for step in self.steps:
            if not 0 <= step.layer < len(quantisers):
                raise ConfigError(f"{step}: there is no such layer")
            if step.last > len(quantisers[step.layer]):
                raise ConfigError(f"{step}: its layer has the coefficients 0 to {len(quantisers[step.layer]) - 1}")
            chosen = quantisers[step.layer][step.first:step.last]
            if not np.isin(chosen, (0, REFINEMENT * step.quantiser)).all():
                raise ConfigError(f"{step}: a refinement divides the quantiser, {chosen.max():g}, by {REFINEMENT}")
            chosen[:] = step.quantiser

    @property
    def strides(self) -> list[int]:
        """Of the layers."""
        return [layer.stride for layer in self.layers]

    @property
    def coefficients(self) -> list[int]:
        """How many each layer has."""
        return coefficient_counts(self.strides)

    def refines(self, t: int) -> bool:
        """Whether an earlier step sent some of the coefficients of step t, counted from 0."""
        step = self.steps[t]
        return any(step.layer == earlier.layer and step.first < earlier.last and earlier.first < step.last
                   for earlier in self.steps[:t])
