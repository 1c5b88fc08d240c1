"""The training objective: every rate at once.

Each picture of a batch is coded with a drawn number of stored steps; later steps send nothing. A picture
with all steps stored also counts at every prefix, measured on its canvas. Each prefix's loss is divided by
its own running mean, so every rate point counts alike, which is what a BD-rate measures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..coding.rotation_fit import colours_of
from ..format.rotation import Colours
from ..network.conv_draw import CANVAS_UNIT, SHOWN_UNIT, Choice, ConvDRAW, Taken
from ..network.lossless import CENTRES, PLACES, probability, squares
from ..network.post_filter import MIDDLE, RETOUCH_UNIT, STORED_UNIT, share_known
from ..network.priors import bits, table_index
from ..network.quantiser import LATENT_LIMIT, half_cells, target
from . import distributed

TIE_WIDTH = 0.4  # of a cell: where the noisy stage rounds at random
LEAST = 1e-3  # squared error, against division by zero


@dataclass
class Rollout:
    """Per step and picture, (T, B): bits per pixel sent in the step, MSE (0..255 units) of the canvas after it."""

    rate: Tensor
    distortion: Tensor


def colours_of_each(image: Tensor) -> list[Colours]:
    """The colours that suit pictures (B, 3, H, W) in 0..255."""
    return [colours_of(pixels) for pixels in image.round().byte().permute(0, 2, 3, 1).cpu().numpy()]


def shown(model: ConvDRAW, canvas: Tensor, colours: list[Colours]) -> Tensor:
    """What canvases (B, 3, H, W) show, in levels, float32, beyond 0..255 as well."""
    with torch.autocast(canvas.device.type, enabled=False):  # for matrix products, too
        return (model.shown(canvas, colours) / SHOWN_UNIT).float()


def take_steps(model: ConvDRAW, image: Tensor, stored: Tensor, noise: list[torch.Generator] | None = None
               ) -> Iterator[Taken]:
    """Run all steps on pictures as canvases hold them, (B, 3, H, W); steps from ``stored`` (B,) on add nothing.

    noise: one generator a picture; the encoder rounds at random near a tie, so that rate and distortion are
    smooth in its mean. Without, it rounds to nearest, as in coding, and gets no gradient: prior and decoder
    alone are trained.
    """
    state, encoder = model.start(len(image), *image.shape[2:]), model.start_encoder(image)
    with model.quantised_once():
        for t, step in enumerate(model.config.steps):
            choose = partial(_choose, live=(t < stored).float()[:, None, None, None], noise=noise)
            taken = model.step(t, image, encoder[step.layer], state.before(step), choose,
                               train_encoder=noise is not None)
            encoder[step.layer], state = taken.encoder, state.after(step, taken.canvas, taken.layer)
            yield taken


def _choose(mean: Tensor, index: Tensor, sign: Tensor | None, *, live: Tensor, noise: list[torch.Generator] | None
            ) -> Choice:
    """Latents, where ``live`` is 1: rounded, or with noise as ``take_steps`` says. Where it is 0, nothing is sent.

    The odds of the whole number above pass from 0 to 1 around the tie. Rounding with these odds has the exact expected
    rate, and its expected reconstruction has a true gradient. Neither uniform noise nor straight-through rounding does:
    noise makes every refinement look uniform, and straight-through gradients push coefficients out of the dead zone.
    """
    wanted = target(mean, sign).clamp(-LATENT_LIMIT, LATENT_LIMIT)
    if not noise:
        latents = wanted.round()
        return Choice(latents, half_cells(latents, sign) * live, bits(latents, index, sign) * live)
    below = wanted.detach().floor().clamp_max(LATENT_LIMIT - 1)
    odds = ((wanted - below - 0.5) / TIE_WIDTH + 0.5).clamp(0, 1)
    drawn = torch.stack([torch.rand(odds.shape[1:], generator=g, device=odds.device) for g in noise])
    latents = below + (drawn < odds)
    rate = bits(latents, index, sign)
    tie = (odds > 0) & (odds < 1)
    few = index[tie], None if sign is None else sign[tie]
    expected = odds[tie] * bits(below[tie] + 1, *few) + (1 - odds[tie]) * bits(below[tie], *few)
    rate = rate.masked_scatter(tie, expected)
    jump = half_cells(below + 1, sign) - half_cells(below, sign)
    return Choice(latents, (half_cells(latents, sign) + (odds - odds.detach()) * jump) * live, rate * live)


def rollout(model: ConvDRAW, image: Tensor, stored: Tensor, noise: list[torch.Generator] | None = None) -> Rollout:
    """Rate and distortion of all steps on pictures (B, 3, H, W) in 0..255; the rest as ``take_steps``."""
    image = model.to_canvas(image, colours_of_each(image))
    rates, distortions = [], []
    for taken in take_steps(model, image, stored, noise):
        rates.append(taken.choice.rate.sum((1, 2, 3)) / image[0, 0].numel())
        distortions.append((image - taken.canvas / CANVAS_UNIT).square().mean((1, 2, 3)))
    return Rollout(torch.stack(rates), torch.stack(distortions))


def tradeoffs(model: ConvDRAW, strength: float) -> Tensor:
    """lambda_t, (T,): bits per pixel that one unit of MSE is worth after each step: strength / quantiser^2.

    Over steps of one quantiser it moves geometrically from the value before them to their own.
    """
    result, before = [], model.config.steps[0].quantiser * 2
    for quantiser, steps in itertools.groupby(step.quantiser for step in model.config.steps):
        count = len(list(steps))
        result += [before * (quantiser / before) ** ((i + 1) / count) for i in range(count)]
        before = quantiser
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

    def costs(self, result: Rollout) -> Tensor:
        """(T, B): cost of each prefix, rate so far + lambda_t * distortion."""
        return result.rate.cumsum(0) + self.tradeoff[:, None] * result.distortion

    def forward(self, image: Tensor, stored: Tensor, noise: list[torch.Generator] | None) -> Tensor:
        """The loss of a batch, near 1 when nothing changes; arguments as ``rollout``."""
        result = rollout(self.model, image, stored, noise)
        costs, complete = self.costs(result), stored == len(result.rate)
        with torch.no_grad():
            sums = distributed.total(torch.cat([costs[:, complete].sum(1), complete.sum()[None]]))
            if sums[-1] > 0:
                now = sums[:-1] / sums[-1]
                self.running.copy_(torch.where(self.running > 0, 0.98 * self.running + 0.02 * now, now))
        weights = 1 / self.running.clamp_min(1e-9)
        filled = result.rate.sum(0) + self.tradeoff[stored - 1] * result.distortion[-1]
        every = (costs * weights[:, None]).mean(0)
        return torch.where(complete, every, filled * weights[stored - 1]).mean()


def retouch_loss(model: ConvDRAW, image: Tensor, cuts: list[float]) -> Tensor:
    """Squared error of retouched pictures (B, 3, H, W) in 0..255, relative to that of the same pictures without, mean
    over the cuts; 1 for a retouch that adds nothing. The codec stays as it is.

    cuts: steps stored; 3.4 are three whole steps and two fifths of the fourth one's maps.
    """
    with torch.no_grad():
        colours = colours_of_each(image)
        taken = list(cut_canvases(model, image, colours, sorted(cuts)))
        stored = torch.cat([units for _, units in taken])
        levels = shown(model, torch.cat([canvas for canvas, _ in taken]), colours * len(cuts))
        originals = image.repeat(len(cuts), 1, 1, 1)
        before = LEAST + distributed.total((levels - originals).square().mean((1, 2, 3)).view(len(cuts), -1).sum(1))
    added = model.retouch((levels + 0.5).floor().clamp(0, 255), stored)
    after = (levels + added / RETOUCH_UNIT - originals).square().mean((1, 2, 3)).view(len(cuts), -1).sum(1)
    return (after / before).mean() * distributed.count()


def cut_canvases(model: ConvDRAW, image: Tensor, colours: list[Colours], cuts: list[float]
                 ) -> Iterator[tuple[Tensor, Tensor]]:
    """The canvas at each cut, (B, 3, H, W), and how much of each picture is there, in 1/64 of a step, (B,)."""
    everything = torch.full((len(image),), len(model.steps), device=image.device)
    for t, taken in enumerate(take_steps(model, model.to_canvas(image, colours), everything)):
        maps = taken.choice.added.shape[1]
        for cut in cuts:
            if cut == t + 1:
                yield taken.canvas, torch.full_like(everything, STORED_UNIT * (t + 1))
            elif t < cut < t + 1:
                known = int((cut - t) * maps)
                there = (torch.arange(maps, device=image.device) < known)[:, None, None]
                added = taken.choice.added * there
                layer = model.decode(t, taken.given.layer, taken.seen, added)
                canvas = model.write(t, taken.given.canvas, layer.h, added)
                expected = model.information[table_index(taken.index, taken.sign).long()]
                yield canvas, STORED_UNIT * t + share_known(expected.sum((2, 3)), known)


def residual_loss(model: ConvDRAW, image: Tensor) -> Tensor:
    """What makes whole pictures (B, 3, H, W) in 0..255 exact, in bits per pixel. The codec stays as it is."""
    with torch.no_grad():
        colours = colours_of_each(image)
        [(canvas, _)] = cut_canvases(model, image, colours, [len(model.steps)])
        levels = (shown(model, canvas, colours) + 0.5).floor().clamp(0, 255)
    seen, residuals = squares(levels - MIDDLE), squares(image - levels)
    cost = image.new_zeros(())
    for i in range(residuals.shape[1]):
        centre, index = model.residual.step(i)(seen, residuals[:, :i])
        distance = residuals[:, i:i + 1] - centre.float() / CENTRES
        cost = cost - probability(distance, index.float()).clamp_min(2.0**-24).log2().mean()
    return cost / len(PLACES)
