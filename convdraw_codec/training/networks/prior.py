"""The prior, trainable: the recurrent network that predicts the symbols of each step from all earlier ones.

Latents are fixed functions of the picture (``network.transform``), so the steps of a crop are all known beforehand, and
their probabilities are learned at once, as in a language model. ``coding.prior`` computes the same in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.config import Config
from ...network.convolution import ZERO_POINT
from ...network.features import LOW_CHANNELS
from ...network.forecast import LOW_LIMIT
from ...network.lapped_pyramid import UNIT, Pyramid
from ...network.prior import CELL_LIMIT, GATE_HALF
from ...network.tables import (
    BYTE_UNIT,
    FACTOR_UNIT,
    FIRST,
    LARGEST_KNOWN,
    LATE,
    QUOTIENT_UNIT,
    QUOTIENTS,
    REFINE,
    ROWS,
    ZERO,
    frequency_table,
    quotient_table,
    sign_steps,
    slope_table,
)
from .byte_conv import GATE, RECTIFIED, SIGNED, Output, TrainedConv, in_bytes, round_through
from .forecast import ForecastNetwork, displaced

ROW = Output(8, 0)  # so that the heads learn as fast as the rest
FARTHEST = 2**15 - 1  # a magnitude, in cells
TOLD_UNIT = 16  # of what is told, to heads: so it is worth as much as what else they see
SIGN_GAIN = 10  # so that factors of signs learn as fast as the rest
LEAK = 0.02  # of the gradient of rows beyond the last one, so that none gets stuck


@dataclass(frozen=True)
class Latents:
    """Pictures as the coefficients of each layer, (B, coefficients, H/s, W/s): in levels, float32; and, int16, their
    magnitudes in the finest cells of ``Config.cells``, rounded down, and signs -1, 0 or 1."""

    coefficients: list[Tensor]
    magnitudes: list[Tensor]
    signs: list[Tensor]

    def known(self, config: Config, t: int) -> list[Tensor]:
        """In which cell of ``Config.cells`` each coefficient lies before step t, with its sign, int16."""
        result = []
        finest = config.cells(len(config.steps))
        for magnitudes, signs, cells, widths in zip(self.magnitudes, self.signs, finest, config.cells(t), strict=True):
            ratio = np.where(widths, widths // np.maximum(cells, 1), FARTHEST)
            found = torch.div(magnitudes, torch.from_numpy(ratio).to(magnitudes)[:, None, None], rounding_mode="floor")
            result.append(found * signs)
        return result


@dataclass(frozen=True)
class Prediction:
    """Of one step: rows (B, outputs, H/s, W/s), real numbers whose values are whole, first those of FIRST or ZERO, then
    those of REFINE; magnitudes of its coefficients before and after it, in cells of then, (B, last - first, H/s, W/s);
    and the logarithm of the odds that their signs are what they are, 0 where nothing is expected, as ``before``. late:
    which symbols come at the end of the pass, bool; None if the step is its last, and nothing is late.
    """

    rows: Tensor
    before: Tensor
    after: Tensor
    odds: Tensor
    late: Tensor | None = None


class PriorLayer(nn.Module):
    """What the steps of a layer share."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        sizes = config.layers[layer]
        around = [config.layers[i].state for i in (layer, layer - 1, layer + 1) if 0 <= i < len(config.layers)]
        seen = config.coefficients[layer] + (LOW_CHANNELS if layer else 0)
        self.embedding = TrainedConv(seen, [(sizes.embedding, RECTIFIED)], 1, deviation=3)
        self.recurrence = TrainedConv(sum(around) + sizes.embedding, [(3 * sizes.state, GATE), (sizes.state, SIGNED)],
                                      3, signed=sum(around))
        self.context = TrainedConv(sizes.state, [(sizes.state, RECTIFIED)], 3, signed=sizes.state, deviation=1.5)


class PriorStep(nn.Module):
    """What is a step's own: biases, which say which step it is, and the heads."""

    signs: Tensor

    def __init__(self, config: Config, t: int):
        super().__init__()
        step, first = config.steps[t], config.seen_first(t)
        sizes, coefficients = config.layers[step.layer], config.coefficients[step.layer]
        outputs = (step.last - step.first) * (1 if first.all() else 2)
        self.embedding = nn.Parameter(torch.zeros(sizes.embedding))
        recurrence = torch.zeros(4, sizes.state)
        recurrence[1] = 1  # remember by default
        self.recurrence = nn.Parameter(recurrence.flatten())
        self.context = nn.Parameter(torch.zeros(sizes.state))
        told = coefficients if config.expects(t) else 0
        self.rows = TrainedConv(told + sizes.state + coefficients, [(outputs, ROW)], 1, signed=told,
                                signed_unit=TOLD_UNIT)
        self.bias = nn.Parameter(torch.zeros(outputs))
        if told:
            self.signs = nn.Parameter(torch.full((step.last - step.first,), 0.8))
        else:
            self.register_buffer("signs", torch.zeros(step.last - step.first))
        with torch.no_grad():
            self.rows.weight.mul_(0.15)
            self.rows.weight[:, :told] = 0
            self.rows.weight[:, told + sizes.state:] = 0

    def factors(self) -> Tensor:
        """What makes odds of offsets, (last - first,), whole numbers in 1/64."""
        return round_through(SIGN_GAIN * FACTOR_UNIT * self.signs.abs()) / FACTOR_UNIT


def low_differences(low: Tensor) -> Tensor:
    """As ``network.features.low_differences``, of pictures (B, 3, 2 h, 2 w): (B, 15, h, w)."""
    batch, colours, height, width = low.shape
    blocks = low.view(batch, colours, height // 2, 2, width // 2, 2)
    upper_left, upper_right, lower_left, lower_right = (blocks[:, :, :, i, :, j] for i in (0, 1) for j in (0, 1))
    total = blocks.sum((3, 5))
    across = F.pad(total[..., 1:] - total[..., :-1], (0, 1))
    down = F.pad(total[..., 1:, :] - total[..., :-1, :], (0, 0, 0, 1))
    return torch.cat([upper_left + lower_left - upper_right - lower_right,
                      upper_left + upper_right - lower_left - lower_right,
                      upper_left - upper_right - lower_left + lower_right, across, down], dim=1)


def logarithms_of(differences: Tensor, cell: int, table: Tensor) -> Tensor:
    """As ``network.features.magnitudes``: whole numbers in bytes, float32."""
    quotients = torch.div(differences.abs() * (QUOTIENT_UNIT // 2), cell, rounding_mode="floor")
    return table[quotients.clamp_max(QUOTIENTS - 1).long()]


class PriorNetwork(nn.Module):
    """All layers and steps of a ``Config``. frequencies: what a decoder codes under, see ``network.model.Model``."""

    frequencies: Tensor
    table: Tensor
    slopes: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.pyramid = config, Pyramid.of(config.strides)
        self.layers = nn.ModuleList(PriorLayer(config, layer) for layer in range(len(config.layers)))
        self.steps = nn.ModuleList(PriorStep(config, t) for t in range(len(config.steps)))
        self.register_buffer("frequencies", torch.from_numpy(np.stack([frequency_table() for _ in config.passes])))
        self.register_buffer("table", torch.from_numpy(quotient_table()).float(), persistent=False)
        self.register_buffer("slopes", torch.from_numpy(slope_table()), persistent=False)
        for level, (functions, filters) in enumerate(zip(self.pyramid.functions, self.pyramid.filters, strict=True)):
            self.register_buffer(f"functions_{level}", torch.from_numpy(functions), persistent=False)
            self.register_buffer(f"filter_{level}", torch.from_numpy(filters), persistent=False)

    def convolutions(self) -> Iterator[TrainedConv]:
        """All of them."""
        return (module for module in self.modules() if isinstance(module, TrainedConv))

    def transform(self) -> Pyramid:
        """On the device of the network."""
        count = range(len(self.config.layers))
        return Pyramid([self.get_buffer(f"functions_{i}") for i in count],
                       [self.get_buffer(f"filter_{i}") for i in count], self.pyramid.places)

    def latents(self, planes: Tensor) -> Latents:
        """Of pictures in the axes of the model, (B, 3, H, W), in levels."""
        transform, finest = self.transform(), self.config.cells(len(self.config.steps))
        real = Pyramid([matrix.to(planes.dtype) for matrix in transform.functions],
                       [matrix.to(planes.dtype) for matrix in transform.filters], transform.places)
        result = Latents([], [], [])
        for found, cells in zip(real.analysis(planes), finest, strict=True):
            coefficients = found.permute(0, 3, 1, 2)
            inverse = torch.from_numpy(np.where(cells, UNIT / np.maximum(cells, 1), 0)).to(planes)[:, None, None]
            result.coefficients.append(coefficients)
            result.magnitudes.append((coefficients.abs() * inverse).floor().clamp_max(FARTHEST).to(torch.int16))
            result.signs.append(coefficients.sign().to(torch.int16))
        return result

    def forward(self, latents: Latents, forecast: ForecastNetwork) -> Iterator[Prediction]:
        """The prediction of each step, from all symbols before it. The forecast learns nothing from it."""
        config, finest = self.config, self.config.cells(len(self.config.steps))
        path = [_Layer.start(layer.state, magnitudes)
                for layer, magnitudes in zip(config.layers, latents.magnitudes, strict=True)]
        of_pass = list[tuple[_Layer, _Known]]()
        for t, step in enumerate(config.steps):
            here, coefficients = path[step.layer], slice(step.first, step.last)
            if step.forecast:
                self._expect(t, path, forecast)
            rows = self._rows(t, path)
            ratio = torch.from_numpy(step.cell // finest[step.layer][coefficients]).to(here.known)[:, None, None]
            before, signs = here.known[:, coefficients], latents.signs[step.layer][:, coefficients]
            after = torch.div(latents.magnitudes[step.layer][:, coefficients], ratio, rounding_mode="floor")
            found = Prediction(rows, before, after, self._odds(t, here, signs))
            middles = (2 * after.double() + 1) * (step.cell // 2) * (after > 0) * signs
            of_pass.append((here, _Known(coefficients, after, middles)))
            if t + 1 == config.pass_of(t).stop:
                yield found
                for layer, known in of_pass:
                    layer.take(known)
                of_pass.clear()
            else:
                late = self.slopes[rows_of(found, config.seen_first(t))] <= LATE
                yield replace(found, late=late)
                here.take(_Known(coefficients, torch.where(late, 2 * before, after),
                                 torch.where(late, here.middles[:, coefficients], middles)))

    @torch.no_grad()
    def _expect(self, t: int, path: list[_Layer], forecast: ForecastNetwork) -> None:
        """As ``coding.canvas.Canvas.expect``."""
        last, units = len(path) - 1, forecast.units(t)
        offsets, low = forecast(t, path[last].middles, self._low(path[:last]) if last else None)
        path[last].tell(offsets.clamp_min(1 - ZERO_POINT))
        low = None if low is None else low.double().clamp(-LOW_LIMIT, LOW_LIMIT)
        for layer in reversed(range(last)):
            values, low = self.transform().whole_split(layer, low)
            path[layer].tell(displaced(values.permute(0, 3, 1, 2), path[layer].middles, units[layer]))

    def shown(self, values: list[Tensor]) -> Tensor:
        """The picture (B, 3, H, W) that the coefficients of the first layers make, whole numbers in 1/8 of a level,
        float64."""
        transform, planes = self.transform(), cast("Tensor | None", None)
        for layer, value in enumerate(values):
            planes = transform.synthesis(layer, value.permute(0, 2, 3, 1), planes)
        return cast(Tensor, planes)

    def _odds(self, t: int, here: _Layer, signs: Tensor) -> Tensor:
        step = self.config.steps[t]
        if here.told is None:
            return torch.zeros_like(signs, dtype=torch.float32)
        told = here.told[:, step.first:step.last]
        factors = cast(PriorStep, self.steps[t]).factors()[:, None, None]
        return factors * (told.abs() / FACTOR_UNIT) * torch.where(told * signs < 0, -1, 1)

    def _rows(self, t: int, path: list[_Layer]) -> Tensor:
        """What the heads of step t say; the state of its layer goes on."""
        step, layers = self.config.steps[t], self.config.layers
        at, here = step.layer, path[step.layer]
        shared, own = cast(PriorLayer, self.layers[at]), cast(PriorStep, self.steps[t])
        logarithms = here.known.clamp_max(LARGEST_KNOWN).add(1).float().log2_().mul_(BYTE_UNIT).round_()
        seen, around = logarithms, [here.h]
        if at:
            differences = low_differences(self._low(path[:at]))
            seen = torch.cat([logarithms, logarithms_of(differences, step.cell, self.table)], dim=1)
            ratio = layers[at - 1].stride // layers[at].stride
            around.append(path[at - 1].h.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3))
        if at + 1 < len(path):
            around.append(pooled(path[at + 1].h, layers[at].stride // layers[at + 1].stride))
        embedded = in_bytes(shared.embedding(_last(seen), own.embedding))
        gates = shared.recurrence(_last(torch.cat([*around, embedded], dim=1)), own.recurrence)
        here.h, here.c = recur(gates, here.c)
        context = in_bytes(shared.context(here.h, own.context))
        told = [] if here.told is None else [torch.where(here.known == 0, here.told.abs(), here.told)]
        return as_rows(own.rows(_last(torch.cat([*told, context, logarithms], dim=1)), own.bias))

    def _low(self, coarser: list[_Layer]) -> Tensor:
        """The picture that some layers make of the middles of their cells."""
        return self.shown([layer.middles for layer in coarser])


@dataclass(frozen=True)
class _Known:
    """Magnitudes of some coefficients of a layer, in cells, and the middles of these."""

    coefficients: slice
    magnitudes: Tensor
    middles: Tensor


@dataclass
class _Layer:
    """What is known of a layer: the recurrent state; magnitudes of coefficients, in cells; the middles of these cells,
    in 1/8 of a level, float64; and what is expected of them, see ``coding.canvas``, less 128, float32."""

    h: Tensor
    c: Tensor
    known: Tensor
    middles: Tensor
    told: Tensor | None = None

    def take(self, found: _Known) -> None:
        """What is known of some coefficients."""
        self.known, self.middles = self.known.clone(), self.middles.clone()
        self.known[:, found.coefficients], self.middles[:, found.coefficients] = found.magnitudes, found.middles

    def tell(self, offsets: Tensor) -> None:
        """Where coefficients lie, as ``coding.canvas.away`` has it."""
        self.told = torch.where(self.middles < 0, -offsets, offsets)

    @classmethod
    def start(cls, state: int, magnitudes: Tensor) -> _Layer:
        """Nothing, for coefficients like these."""
        batch, _, height, width = magnitudes.shape
        empty = torch.zeros(batch, state, height, width, device=magnitudes.device)
        empty = empty.contiguous(memory_format=torch.channels_last)
        return cls(empty, empty, torch.zeros_like(magnitudes), torch.zeros_like(magnitudes, dtype=torch.float64))


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def pooled(h: Tensor, ratio: int) -> Tensor:
    """Means of squares of positions, rounded to whole numbers, halves up."""
    return _floor_through(F.avg_pool2d(h, ratio) + 0.5)


def _floor_through(x: Tensor) -> Tensor:
    return x + (x.floor() - x).detach()


def recur(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h in 1/128 and c in 1/128 of a convolutional LSTM with straight lines for its functions, from what its gates
    would be in bytes, (B, 4 state, H, W), and the last c. ``coding.prior`` has the same."""
    state = c.shape[1]
    admit, keep, emit = in_bytes(gates[:, :3 * state]).split(state, dim=1)
    candidate = in_bytes(gates[:, 3 * state:]) - ZERO_POINT
    c = _floor_through((keep * c + admit * candidate + GATE_HALF) / 256).clamp(-CELL_LIMIT, CELL_LIMIT)
    return _floor_through((emit * c.clamp(-127, 127) + GATE_HALF) / 256), c


def as_rows(real: Tensor) -> Tensor:
    """The row that a decoder takes; the gradient goes on, a little, beyond the first and the last."""
    inside = real.clamp(0, ROWS - 1)
    leak = LEAK * (real - inside)
    return round_through(inside) + leak - leak.detach()


def rows_of(prediction: Prediction, first: np.ndarray) -> Tensor:
    """The row of each symbol, 0..575, as ``network.prior.chosen``."""
    rows, count, seen = prediction.rows.round().long(), len(first), torch.from_numpy(first)[:, None, None]
    steps = (sign_steps() / FACTOR_UNIT**2).tolist()
    levels = torch.stack([prediction.odds.abs() >= step for step in steps]).sum(0)
    fresh = rows[:, :count] + torch.where(seen, FIRST, ZERO) + ROWS * levels
    if first.all():
        return fresh
    return torch.where((prediction.before == 0) | seen, fresh, rows[:, count:] + REFINE)
