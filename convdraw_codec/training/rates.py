"""What the symbols of a step cost, in bits, as training sees it."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.tables import EVEN_ODDS, LARGEST_SCALE, ODDS_UNIT, REFINE, ROWS, SMALLEST_SCALE, ZERO
from . import distributed
from .networks.prior import ROW, Latents, Prediction, PriorNetwork, PriorStep

CELLS_SEEN = 2  # of a statistic that has no symbols


class _Bernoulli(torch.autograd.Function):
    """softplus(l) - l b: nats of a bit b of log-odds l. By hand, since autograd would keep several tensors."""

    @staticmethod
    def forward(ctx: object, odds: Tensor, bit: Tensor) -> Tensor:
        ctx.save_for_backward(odds, bit)  # type: ignore[attr-defined]
        return F.softplus(odds) - odds * bit

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        odds, bit = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * (torch.sigmoid(odds) - bit), None


def log_odds(row: Tensor, family: int) -> Tensor:
    """Of ZERO and REFINE."""
    return (row - EVEN_ODDS[family]) / ODDS_UNIT[family]


def first_nats(magnitude: Tensor, row: Tensor) -> Tensor:
    """What symbols of FIRST cost, their signs included."""
    inverse = torch.exp(-math.log(SMALLEST_SCALE) - math.log(LARGEST_SCALE / SMALLEST_SCALE) / (ROWS - 1) * row)
    size = magnitude.float()
    zero = -torch.log(torch.tanh(inverse / 2).clamp_min(1e-30))
    beyond = (size * inverse - torch.log1p(-torch.exp(-inverse)) + F.softplus(-size * inverse)
              + F.softplus(-(size + 1) * inverse))
    return torch.where(magnitude == 0, zero, beyond)


def symbol_bits(prediction: Prediction, first: Tensor) -> Tensor:
    """Bits of each symbol of a step, (B, last - first, H/s, W/s). first: which of its coefficients it sends for the
    first time."""
    rows, before, after = prediction.rows.float(), prediction.before, prediction.after
    count, refined = len(first), ~first
    nats = torch.empty_like(rows[:, :count])
    if first.any():
        nats[:, first] = first_nats(after[:, first], rows[:, :count][:, first])
    if refined.any():
        zero = before[:, refined] == 0
        bit = torch.where(zero, after[:, refined] > 0, after[:, refined] % 2 > 0)
        odds = torch.where(zero, log_odds(rows[:, :count][:, refined], ZERO),
                           log_odds(rows[:, count:][:, refined], REFINE))
        one = cast(Tensor, _Bernoulli.apply(odds, bit.float()))  # type: ignore[no-untyped-call]
        nats[:, refined] = one + math.log(2) * (zero & bit)  # and a bit for each sign
    found = (before == 0) & (after > 0)
    signs = F.softplus(-prediction.odds.float()) - math.log(2)  # what they cost more than a bit; less, where expected
    return (nats + signs * found) / math.log(2)


@torch.no_grad()
def begin_with_statistics(model: PriorNetwork, latents: Latents) -> None:
    """Set the biases of an untrained prior to what symbols of each step cost least under, whatever came before."""
    known = [torch.zeros_like(magnitudes) for magnitudes in latents.magnitudes]
    finest, config = model.config.cells(len(model.config.steps)), model.config
    for t, step in enumerate(config.steps):
        own, first = cast(PriorStep, model.steps[t]), torch.from_numpy(config.seen_first(t))
        coefficients = slice(step.first, step.last)
        ratio = torch.from_numpy(step.cell // finest[step.layer][coefficients]).to(known[0])[:, None, None]
        before = known[step.layer][:, coefficients]
        after = torch.div(latents.magnitudes[step.layer][:, coefficients], ratio, rounding_mode="floor")
        bias, zero = own.bias, before == 0
        if first.any():
            sent = after[:, first].transpose(0, 1).flatten(1)
            costs = torch.stack([first_nats(sent, torch.full_like(sent, row, dtype=torch.float32)).sum(1)
                                 for row in range(ROWS)])
            bias[:len(first)][first] = distributed.total(costs).argmin(0) / ROW.gain
        for family, there, start in ((ZERO, zero, 0), (REFINE, ~zero, len(first))):
            bits = (after > 0 if family == ZERO else after % 2 > 0) & there
            ones, all_of_them = (distributed.total(each.sum((0, 2, 3)).float()) for each in (bits, there))
            odds = torch.special.logit((ones + 0.5) / (all_of_them + CELLS_SEEN))
            row = (odds * ODDS_UNIT[family] + EVEN_ODDS[family]).clamp(2, ROWS - 3)
            if not first.all():
                bias[start:start + len(first)][~first] = row[~first] / ROW.gain
        known[step.layer][:, coefficients] = after
