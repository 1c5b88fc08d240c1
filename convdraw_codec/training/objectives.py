"""What each kind of stage minimises. All of them are relative to running means, and near 1 when nothing changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..coding.rotation_fit import colours_of
from ..format.rotation import TURN_UNIT, Colours
from ..network.config import Config
from ..network.lapped_pyramid import UNIT, colour_axes, to_positions
from ..network.lossless import ORDER
from ..network.tables import FACTOR_UNIT, FIRST, REFINE, ROWS, ZERO, sign_steps, slope_table
from . import distributed
from .networks.byte_conv import TrainedConv
from .networks.estimator import EstimatorNetwork
from .networks.forecast import ForecastNetwork, placed
from .networks.prior import Latents, Prediction, PriorNetwork
from .networks.residual import ResidualNetwork, nats
from .rates import step_bits

LEAST = 1e-3  # squared error, against division by zero


class CodecNetworks(nn.Module):
    """All that a model file holds, trainable."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.prior, self.forecast = PriorNetwork(config), ForecastNetwork(config)
        self.estimator = EstimatorNetwork(config)
        self.residual = ResidualNetwork(config.residual)

    def convolutions(self) -> Iterator[TrainedConv]:
        """All of them."""
        return (module for module in self.modules() if isinstance(module, TrainedConv))


class RunningMean(nn.Module):
    """Of several numbers."""

    mean: Tensor

    def __init__(self, count: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))

    @torch.no_grad()
    def follow(self, i: int | slice, now: Tensor) -> Tensor:
        """The mean of some of them, after another value."""
        now = distributed.total(now) / distributed.count()
        self.mean[i] = torch.where(self.mean[i] > 0, 0.98 * self.mean[i] + 0.02 * now, now)
        return self.mean[i].clamp_min(LEAST**3)


def turned(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (B, 3, H, W) in 0..255 -> planes in the axes of the model, in levels; and what turns them back: matrices
    (B, 3, 3) and means (B, 3, 1, 1)."""
    every = [colours_of(pixels) for pixels in image.round().byte().permute(0, 2, 3, 1).cpu().numpy()]
    back = torch.from_numpy(np.stack([_matrix(colours) for colours in every])).to(image)
    means = torch.tensor([colours.mean for colours in every]).to(image)[:, :, None, None]
    with torch.autocast(image.device.type, enabled=False):
        return torch.einsum("bck,bchw->bkhw", back, image - means), back, means


def _matrix(colours: Colours) -> np.ndarray:
    return np.array(colours.matrix(), np.float64) / TURN_UNIT @ colour_axes().T


def prior_rates(networks: CodecNetworks, latents: Latents) -> Tensor:
    """Bits a pixel of each step, (T,)."""
    prior = networks.prior
    pixels = latents.magnitudes[0][:, 0].numel() * prior.config.strides[0] ** 2
    firsts = [torch.from_numpy(prior.config.seen_first(t)) for t in range(len(prior.config.steps))]
    return torch.stack([step_bits(found, first) / pixels
                        for found, first in zip(prior(latents, networks.forecast), firsts, strict=True)])


class Objective(nn.Module):
    """The loss of each kind of stage."""

    def __init__(self, networks: CodecNetworks):
        super().__init__()
        self.networks, steps = networks, len(networks.config.steps)
        self.rates, self.residuals = RunningMean(steps), RunningMean(1)
        self.register_buffer("slopes", torch.from_numpy(slope_table()), persistent=False)

    def forward(self, kind: str, image: Tensor, cut: float) -> Tensor:
        """The loss of pictures (B, 3, H, W) in 0..255. cut: steps that are stored, for forecast and estimator."""
        with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
            planes, back, means = turned(image)
            latents = self.networks.prior.latents(planes)
        if kind == "prior":
            return self._prior(latents)
        if kind == "estimator":
            return self._estimator(latents, cut)
        if kind == "forecast":
            return self._forecast(latents, round(cut))
        return self._residual(latents, image, back, means)

    def _prior(self, latents: Latents) -> Tensor:
        """The rate of every prefix of steps: every rate counts alike, which is what a BD-rate measures."""
        prefixes = prior_rates(self.networks, latents).cumsum(0)
        return (prefixes / self.rates.follow(slice(None), prefixes)).mean()

    def _forecast(self, latents: Latents, t: int) -> Tensor:
        """Squared error of what is foreseen before step t, relative to that of the middles of cells: of the picture,
        and of its parts."""
        networks, device = self.networks, latents.coefficients[0].device
        with torch.no_grad():
            known = latents.known(networks.config, t)
            cells = [torch.from_numpy(widths).to(device)[:, None, None] for widths in networks.config.cells(t)]
            *coarser, finest = [middles_of(*each) for each in zip(known, cells, strict=True)]
            *parts, true = [(UNIT * each.double()).round() for each in latents.coefficients]
            low, low_true = (networks.prior.shown(each) if each else None for each in (coarser, parts))
            before = distributed.total(_errors((finest, low), (true, low_true))) / distributed.count()
        offsets, smaller = networks.forecast(t, finest, low)
        values = placed(finest, offsets, networks.forecast.units(t)[-1])
        found = _errors((values, smaller), (true, low_true))
        return found.sum() / before.sum().clamp_min(LEAST) + (found / before.clamp_min(LEAST)).mean()

    def _estimator(self, latents: Latents, cut: float) -> Tensor:
        """Squared error of what the estimator makes of a cut, relative to that of the middles of cells."""
        networks, t = self.networks, math.ceil(cut) - 1
        with torch.no_grad():
            known, cells = known_at(networks, latents, t, cut - t, self.get_buffer("slopes"))
            canvas = networks.prior.shown([middles_of(*each) for each in zip(known, cells, strict=True)])
            true = networks.prior.shown([(UNIT * each.double()).round() for each in latents.coefficients])
            before = distributed.total((canvas - true).square().mean()) / distributed.count()
        found = networks.estimator(canvas, t)
        return (found - true).square().mean().float() / before.clamp_min(LEAST).float()

    def _residual(self, latents: Latents, image: Tensor, back: Tensor, means: Tensor) -> Tensor:
        """Bits a pixel of what makes whole pictures exact."""
        with torch.no_grad():
            shown = self.shown(latents, back, means)
            seen, exact = (to_positions(planes, 2)[..., ORDER].permute(0, 3, 1, 2) for planes in (shown, image))
            residuals = exact - seen
        cost = image.new_zeros(())
        for i, step in enumerate(self.networks.residual.steps):
            centre, index = step(seen - 128, residuals[:, :i])
            cost = cost + nats(residuals[:, i:i + 1], centre, index).mean()
        return cost / self.residuals.follow(0, cost)

    def shown(self, latents: Latents, back: Tensor, means: Tensor, steps: int | None = None) -> Tensor:
        """Pictures after so many steps, or all, in whole levels, (B, 3, H, W)."""
        networks, config = self.networks, self.networks.config
        steps = len(config.steps) if steps is None else steps
        cells = [torch.from_numpy(widths).to(back.device)[:, None, None] for widths in config.cells(steps)]
        canvas = networks.prior.shown([middles_of(*each) for each in zip(latents.known(config, steps), cells,
                                                                         strict=True)])
        planes = networks.estimator(canvas, steps - 1)
        with torch.autocast(back.device.type, enabled=False):
            levels = torch.einsum("bck,bkhw->bchw", back, planes / UNIT) + means
        return levels.round().clamp(0, 255)


def _errors(values: Iterable[Tensor | None], true: Iterable[Tensor | None]) -> Tensor:
    """Squared error of each of them that there is."""
    errors = [(value - each).square().sum().float() for value, each in zip(values, true, strict=True)
              if value is not None and each is not None]
    return torch.stack(errors)


def middles_of(known: Tensor, cells: Tensor) -> Tensor:
    """As ``network.estimator.middles_of``, float64."""
    return (2 * known.double() + known.sign()) * torch.div(cells, 2, rounding_mode="floor")


def known_at(networks: CodecNetworks, latents: Latents, t: int, share: float, slopes: Tensor
             ) -> tuple[list[Tensor], list[Tensor]]:
    """What is known after a share of step t, those rows of it whose slope is largest: in which cell each coefficient
    lies, with its sign, and how wide that is, in 1/8 of a level; as ``coding.canvas`` has it."""
    config, step = networks.config, networks.config.steps[t]
    known, after = latents.known(config, t), latents.known(config, t + 1)
    cells, narrower = ([torch.from_numpy(widths).to(known[0].device)[:, None, None] for widths in config.cells(steps)]
                       for steps in (t, t + 1))
    if share < 1:
        prediction = next(found for number, found in enumerate(networks.prior(latents, networks.forecast))
                          if number == t)
        slope = slopes[rows_of(prediction, config.seen_first(t))]
        there = slope >= torch.quantile(slope.float().flatten()[:2**20], 1 - share)
        at, coefficients = step.layer, slice(step.first, step.last)
        every = torch.ones_like(known[at], dtype=torch.bool)
        every[:, coefficients] = there
        after[at] = torch.where(every, after[at], known[at])
        narrower[at] = torch.where(every, narrower[at], cells[at])
    return after, narrower


def rows_of(prediction: Prediction, first: np.ndarray) -> Tensor:
    """The row of each symbol, 0..575, as ``network.prior.chosen``."""
    rows, count, seen = prediction.rows.round().long(), len(first), torch.from_numpy(first)[:, None, None]
    steps = (sign_steps() / FACTOR_UNIT**2).tolist()
    levels = torch.stack([prediction.odds.abs() >= step for step in steps]).sum(0)
    fresh = rows[:, :count] + torch.where(seen, FIRST, ZERO) + ROWS * levels
    if first.all():
        return fresh
    return torch.where((prediction.before == 0) | seen, fresh, rows[:, count:] + REFINE)
