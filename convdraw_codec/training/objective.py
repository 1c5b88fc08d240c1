"""The training objective: every rate at once.

Each picture of a batch is coded with a drawn number of stored steps; later steps send nothing. A picture
with all steps stored also counts at every prefix, measured on its canvas. Each prefix's loss is divided by
its own running mean, so every rate point counts alike, which is what a BD-rate measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..draw import ConvDRAW
from ..latents import LATENT_LIMIT, bits, companded_mean, half_cells

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


def rollout(model: ConvDRAW, image: Tensor, stored: Tensor, noisy: bool) -> Rollout:
    """Run all steps on pictures (B, 3, H, W) in 0..255; steps from ``stored`` (B,) on send nothing.

    ``noisy``: the encoder rounds at random near a tie, so that rate and distortion are smooth in its mean.
    Otherwise it rounds to nearest, as in coding, and gets no gradient: prior and decoder alone are trained.
    """
    batch, _, height, width = image.shape
    state = model.start(batch, height, width)
    memory = model.start_encoder(batch, height, width)
    rates, distortions = [], []
    for t in range(len(model.steps)):
        seen = model.look(t, state)
        index = model.prior(t, state, seen)
        sign = model.sign(t, state)
        with torch.set_grad_enabled(noisy and torch.is_grad_enabled()):
            mean = model.posterior(t, image, memory, state)
        live = (t < stored).to(mean.dtype)[:, None, None, None]
        target = companded_mean(mean, sign).clamp(-LATENT_LIMIT, LATENT_LIMIT)
        if noisy:
            below, odds = _towards(target)
            above = below + 1
            latents = torch.where(torch.rand_like(odds) < odds, above, below) * live
            cost = odds * bits(above, index, sign) + (1 - odds) * bits(below, index, sign)
            jump = half_cells(above, sign) - half_cells(below, sign)
            added = half_cells(latents, sign) + (odds - odds.detach()) * jump * live
        else:
            latents = target.round() * live
            cost = bits(latents, index, sign)
            added = half_cells(latents, sign)
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


class Objective:
    """Rate + lambda * distortion at every prefix, each against its own running mean."""

    def __init__(self, model: ConvDRAW, strength: float, device: torch.device):
        self.tradeoff = tradeoffs(model, strength).to(device)
        self.running = torch.zeros_like(self.tradeoff)

    def costs(self, result: Rollout) -> Tensor:
        """(T, B): cost of each prefix, rate so far + lambda_t * distortion."""
        return result.rate.cumsum(0) + self.tradeoff[:, None] * result.distortion

    def loss(self, result: Rollout, stored: Tensor) -> Tensor:
        """Scalar; near 1 when nothing changes."""
        steps = len(result.rate)
        complete = stored == steps
        costs = self.costs(result)
        with torch.no_grad():
            if complete.any():
                now = costs[:, complete].mean(1)
                self.running = torch.where(self.running > 0, 0.98 * self.running + 0.02 * now, now)
        weights = 1 / self.running.clamp_min(1e-9)
        filled = result.rate.sum(0) + self.tradeoff[stored - 1] * result.distortion[-1]
        every = (costs * weights[:, None]).mean(0)
        return torch.where(complete, every, filled * weights[stored - 1]).mean()
