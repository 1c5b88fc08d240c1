"""The configuration of a model: layers, steps, and the sizes of its networks. Every value is checked here, once.

A configuration may come from an unknown file: every size has a bound, so that a model can be laid out without memory
(on torch's meta device) and compared with what the file holds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..configuration import Sizes
from ..errors import ConfigError
from ..format.constants import RESIDUAL_STEPS
from .lapped_pyramid import PROMOTED, UNIT, coefficient_counts

MAX_STEPS = 255 - RESIDUAL_STEPS  # a file counts all of them in a byte
LARGEST_QUANTISER = 4096  # levels
SQUARE = 2  # pixels on a side of the squares that the residual steps code in turn


@dataclass(frozen=True)
class Layer(Sizes):
    """One resolution of the model.

    stride: pixels per position, a multiple of the stride of the next layer. state: channels of the recurrent state h^d,
    and hidden channels of the prior. embedding: channels to which what is known is reduced.
    """

    stride: int
    state: int
    embedding: int


@dataclass(frozen=True)
class Step:
    """One visit of a layer, which sends symbols for its coefficients first..last-1.

    quantiser: width of a cell, in pixel levels, a multiple of 1/4. If an earlier step sent some of these coefficients,
    this step refines them, and its quantiser is exactly half of that one. forecast: whether there is a new forecast
    before this step; from then on, the prior is told of it.
    """

    layer: int
    quantiser: float
    first: int
    last: int
    forecast: bool = False

    def __post_init__(self) -> None:
        whole = all(type(number) is int for number in (self.layer, self.first, self.last))
        if not (whole and 0 <= self.first < self.last and type(self.forecast) is bool):
            raise ConfigError(f"{self}: layer, first and last are whole numbers, first below last; forecast is a bool")
        if type(self.quantiser) not in (int, float) or not 0.25 <= self.quantiser <= LARGEST_QUANTISER:
            raise ConfigError(f"{self}: a quantiser lies between 0.25 and {LARGEST_QUANTISER}")
        if self.quantiser % 0.25:
            raise ConfigError(f"{self}: a quantiser is a multiple of 0.25")

    @property
    def cell(self) -> int:
        """Width of a cell, in 1/8 of a level; even."""
        return round(UNIT * self.quantiser)


@dataclass(frozen=True)
class ForecastSize(Sizes):
    """channels: of every hidden layer. layers: 3x3 convolutions, at least 2."""

    channels: int
    layers: int


@dataclass(frozen=True)
class EstimatorSize(Sizes):
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
    """Layers from coarse to fine, the schedule of steps that visit them, the forecast that the prior is told of, the
    estimator of what is shown, and the residual steps of a lossless file."""

    name: str
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    forecast: ForecastSize
    estimator: EstimatorSize
    residual: ResidualSize

    def __post_init__(self) -> None:
        strides = self.strides
        if not strides or any(a <= b or a % b for a, b in itertools.pairwise(strides)):
            raise ConfigError(f"the strides {strides} are not multiples of one another, from coarse to fine")
        if strides[-1] % 2 or strides[-1] < 2 * PROMOTED:
            raise ConfigError(f"the finest stride is even, and at least {2 * PROMOTED}, not {strides[-1]}")
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise ConfigError(f"a model has 1 to {MAX_STEPS} steps, not {len(self.steps)}")
        if any(step.forecast and (t == 0 or self.pass_of(t).start != t) for t, step in enumerate(self.steps)):
            raise ConfigError("forecasts are made at the beginning of passes, but for the first")
        if strides[-1] % self.estimator.stride:
            raise ConfigError(f"the estimator's stride, {self.estimator.stride}, does not divide the finest one, "
                              f"{strides[-1]}")
        quantisers = [np.zeros(n) for n in self.coefficients]  # the last one of each coefficient; 0 if never sent
        for step in self.steps:
            if not 0 <= step.layer < len(quantisers):
                raise ConfigError(f"{step}: there is no such layer")
            if step.last > len(quantisers[step.layer]):
                raise ConfigError(f"{step}: its layer has the coefficients 0 to {len(quantisers[step.layer]) - 1}")
            chosen = quantisers[step.layer][step.first:step.last]
            if not np.isin(chosen, (0, 2 * step.quantiser)).all():
                raise ConfigError(f"{step}: a refinement halves the quantiser, {chosen.max():g}")
            chosen[:] = step.quantiser

    @property
    def strides(self) -> list[int]:
        """Of the layers."""
        return [layer.stride for layer in self.layers]

    @property
    def coefficients(self) -> list[int]:
        """How many each layer has."""
        return coefficient_counts(self.strides)

    def stride(self, t: int) -> int:
        """Pixels per position of the layer that step t visits, counted from 0."""
        return self.layers[self.steps[t].layer].stride

    def cells(self, t: int) -> list[np.ndarray]:
        """Width of the cell in which each coefficient of each layer is known before step t, in 1/8 of a level; 0 where
        nothing is known: (coefficients,) int32 a layer."""
        result = [np.zeros(n, np.int32) for n in self.coefficients]
        for step in self.steps[:t]:
            result[step.layer][step.first:step.last] = step.cell
        return result

    @cached_property
    def passes(self) -> list[range]:
        """The steps of each pass, which goes from coarse to fine, and sends no coefficient twice."""
        starts = [0]
        for i, (last, step) in enumerate(itertools.pairwise(self.steps), 1):
            sent = [each for each in self.steps[starts[-1]:i] if each.layer == step.layer]
            if step.layer < last.layer or any(each.first < step.last and step.first < each.last for each in sent):
                starts.append(i)
        return [range(*each) for each in itertools.pairwise([*starts, len(self.steps)])]

    def pass_of(self, t: int) -> range:
        """The steps of the pass to which step t belongs."""
        return next(steps for steps in self.passes if t in steps)

    def expects(self, t: int) -> bool:
        """Whether step t is told of a forecast."""
        return any(step.forecast for step in self.steps[:t + 1])

    def units(self, t: int) -> list[np.ndarray]:
        """In what offsets count before step t, in 1/8 of a level: the cell of each coefficient of each layer; if it has
        none yet, the first that it will have, or that of the step before: (coefficients,) int32 a layer."""
        result = [np.full(n, self.steps[t - 1].cell, np.int32) for n in self.coefficients]
        for step in [*reversed(self.steps[t:]), *self.steps[:t]]:
            result[step.layer][step.first:step.last] = step.cell
        return result

    def seen_first(self, t: int) -> np.ndarray:
        """Which of its coefficients step t sends for the first time, (last - first,) bool."""
        step = self.steps[t]
        return self.cells(t)[step.layer][step.first:step.last] == 0
