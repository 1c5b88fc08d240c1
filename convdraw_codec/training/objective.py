"""The training objective: every rate at once.

Each picture of a batch is coded with a drawn number of stored steps; later steps send nothing. A picture
with all steps stored also counts at every prefix, measured on its canvas. Each prefix's loss is divided by
its own running mean, so every rate point counts alike, which is what a BD-rate measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..draw import ConvDRAW
from ..lapped import lap
from ..latents import LATENT_LIMIT, bits, half_cells, target
from . import workers

TIE_WIDTH = 0.4  # of a cell: where the noisy stage rounds at random


@dataclass
class Rollout:
    """Per step and picture, (T, B): bits per pixel sent in the step, MSE (0..255 units) of the canvas after it."""

    rate: Tensor
    distortion: Tensor


def _towards(target: Tensor) -> tuple[Tensor, Tensor]:
    """The whole number below, and the odds of the one above: they pass from 0 to 1 around the tie.

    Rounding with these odds has the exact expected rate, and its expected reconstruction has a true gradient.
    Neither uniform noise nor straight-through rounding does: noise makes every refinement look uniform, and
    straight-through gradients push coefficients out of the dead zone.
    """
    below = target.detach().floor().clamp_max(LATENT_LIMIT - 1)
    return below, ((target - below - 0.5) / TIE_WIDTH + 0.5).clamp(0, 1)


def _expected_bits(below: Tensor, index: Tensor, odds: Tensor, sign: Tensor | None) -> Tensor:
    return odds * bits(below + 1, index, sign) + (1 - odds) * bits(below, index, sign)


def rollout(model: ConvDRAW, image: Tensor, stored: Tensor, noise: list[torch.Generator] | None = None) -> Rollout:
    """Run all steps on pictures (B, 3, H, W) in 0..255; steps from ``stored`` (B,) on send nothing.

    noise: one generator a picture; the encoder rounds at random near a tie, so that rate and distortion are
    smooth in its mean. Without, it rounds to nearest, as in coding, and gets no gradient: prior and decoder
    alone are trained.
    """
    batch, _, height, width = image.shape
    image = lap(image, model.lapping)
    state = model.start(batch, height, width)
    encoder = model.start_encoder(image)
    rates, distortions = [], []
    with model.quantised_once():
        for t in range(len(model.steps)):
            seen = model.look(t, state)
            index = model.prior(t, state, seen)
            sign = model.sign(t, state)
            with torch.set_grad_enabled(noise is not None and torch.is_grad_enabled()):
                mean = model.posterior(t, encoder, state)
            live = (t < stored).to(mean.dtype)[:, None, None, None]
            wanted = target(mean, sign).clamp(-LATENT_LIMIT, LATENT_LIMIT)
            if noise:
                below, odds = _towards(wanted)
                drawn = torch.stack([torch.rand(odds.shape[1:], generator=g, device=odds.device) for g in noise])
                latents = below + (drawn < odds)
                cost = bits(latents, index, sign)
                tie = (odds > 0) & (odds < 1)
                few = below[tie], index[tie], odds[tie], None if sign is None else sign[tie]
                cost = cost.masked_scatter(tie, _expected_bits(*few))
                jump = half_cells(below + 1, sign) - half_cells(below, sign)
                added = (half_cells(latents, sign) + (odds - odds.detach()) * jump) * live
            else:
                latents = wanted.round()
                cost = bits(latents, index, sign)
                added = half_cells(latents, sign) * live
            rate = (cost * live).sum((1, 2, 3)) / (height * width)
            state = model.draw(t, state, seen, added)
            rates.append(rate)
            distortions.append((image - state.canvas).square().mean((1, 2, 3)))
    return Rollout(torch.stack(rates), torch.stack(distortions))


def tradeoffs(model: ConvDRAW, strength: float) -> Tensor:
    """lambda_t, (T,): bits per pixel that one unit of MSE is worth after each step: strength / quantiser^2.

    Within a pass (one quantiser) it moves geometrically from the last pass's value to its own.
    """
    quantisers = [step.quantiser for step in model.config.steps]
    result, begin = [], 0
    before = quantisers[0] * 2
    for t, quantiser in enumerate(quantisers):
        if t + 1 == len(quantisers) or quantisers[t + 1] != quantiser:
            count = t + 1 - begin
            result += [before * (quantiser / before) ** ((i + 1) / count) for i in range(count)]
            before, begin = quantiser, t + 1
    return strength / torch.tensor(result).square()


class Objective(nn.Module):
    """Rate + lambda * distortion at every prefix, each against its own running mean."""

    running: Tensor
    tradeoff: Tensor

    def __init__(self, model: ConvDRAW, strength: float):
        super().__init__()
        self.model = model
        self.register_buffer("tradeoff", tradeoffs(model, strength))
        self.register_buffer("running", torch.zeros_like(self.tradeoff))

    def forward(self, image: Tensor, stored: Tensor, noise: list[torch.Generator] | None) -> Tensor:
        """The loss of a batch; arguments as ``rollout``."""
        return self.loss(rollout(self.model, image, stored, noise), stored)

    def costs(self, result: Rollout) -> Tensor:
        """(T, B): cost of each prefix, rate so far + lambda_t * distortion."""
        return result.rate.cumsum(0) + self.tradeoff[:, None] * result.distortion

    def loss(self, result: Rollout, stored: Tensor) -> Tensor:
        """Scalar; near 1 when nothing changes."""
        steps = len(result.rate)
        complete = stored == steps
        costs = self.costs(result)
        with torch.no_grad():
            sums = workers.total(torch.cat([costs[:, complete].sum(1), complete.sum()[None]]))
            if sums[-1] > 0:
                now = sums[:-1] / sums[-1]
                self.running.copy_(torch.where(self.running > 0, 0.98 * self.running + 0.02 * now, now))
        weights = 1 / self.running.clamp_min(1e-9)
        filled = result.rate.sum(0) + self.tradeoff[stored - 1] * result.distortion[-1]
        every = (costs * weights[:, None]).mean(0)
        return torch.where(complete, every, filled * weights[stored - 1]).mean()
