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
from ..network.tables import LATE
from . import distributed
from .networks.byte_conv import TrainedConv
from .networks.estimator import EstimatorNetwork
from .networks.forecast import ForecastNetwork, placed
from .networks.prior import Latents, PriorNetwork, rows_of
from .networks.residual import ResidualNetwork, nats
from .rates import symbol_bits

QUANTILE = 2**20  # numbers of which a quantile is taken
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
    """Bits a pixel of the segment of each step, (T,)."""
    prior, late, result = networks.prior, latents.coefficients[0].new_zeros(()), list[Tensor]()
    pixels = latents.magnitudes[0][:, 0].numel() * prior.config.strides[0] ** 2
    for t, found in enumerate(prior(latents, networks.forecast)):
        bits = symbol_bits(found, torch.from_numpy(prior.config.seen_first(t)))
        if found.late is None:
            bits, late = bits.sum() + late, torch.zeros_like(late)
        else:
            bits, late = (bits * ~found.late).sum(), late + (bits * found.late).sum()
        result.append(bits / pixels)
    return torch.stack(result)


class Objective(nn.Module):
    """The loss of each kind of stage."""

    def __init__(self, networks: CodecNetworks):
        super().__init__()
        self.networks, steps = networks, len(networks.config.steps)
        self.rates, self.residuals = RunningMean(steps), RunningMean(1)

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
        networks = self.networks
        with torch.no_grad():
            *coarser, finest = _middles(networks.config, latents, t)
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
            canvas = networks.prior.shown(middles_at(networks, latents, t, cut - t))
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
        networks = self.networks
        steps = len(networks.config.steps) if steps is None else steps
        canvas = networks.prior.shown(middles_at(networks, latents, steps - 1, 1))
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


def middles_at(networks: CodecNetworks, latents: Latents, t: int, share: float) -> list[Tensor]:
    """The middles of what is known after a share of step t, as ``coding.canvas`` has them: of each layer, (B,
    coefficients, H/s, W/s) in 1/8 of a level, float64."""
    config, prior, of_pass = networks.config, networks.prior, networks.config.pass_of(t)
    ends = t + 1 == of_pass.stop
    if ends and share == 1:
        return _middles(config, latents, t + 1)
    slopes = {s: prior.slopes[rows_of(found, config.seen_first(s))].float()
              for s, found in zip(range(t + 1), prior(latents, networks.forecast), strict=False) if s in of_pass}
    segment = slopes[t][slopes[t] > LATE]
    if ends:
        segment = torch.cat([slope[slope <= LATE] for s, slope in slopes.items() if s < t] + [slopes[t].flatten()])
    least: float | Tensor = 0 if ends else LATE + 1
    if share < 1 and len(segment):
        least = torch.quantile(segment[:QUANTILE], 1 - share)
    result, then = _middles(config, latents, of_pass.start), _middles(config, latents, of_pass.stop)
    for s, slope in slopes.items():
        step = config.steps[s]
        before, after = (each[step.layer][:, step.first:step.last] for each in (result, then))
        there = slope >= least
        before.copy_(torch.where((slope > LATE) | there if s < t else there, after, before))
    return result


def _middles(config: Config, latents: Latents, t: int) -> list[Tensor]:
    """Of what is known before step t."""
    return [middles_of(known, torch.from_numpy(widths).to(known.device)[:, None, None])
            for known, widths in zip(latents.known(config, t), config.cells(t), strict=True)]
