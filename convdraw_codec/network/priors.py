"""The priors of latents: three families of distributions with 64 stored scales each, and their tables.

What a coefficient is so far decides the family. With s for the scale, in cells (see ``quantiser``):

- FIRST: unknown, in a step that refines nothing. A logistic distribution of scale s, in bins with the dead zone,
  unbounded.
- ZERO: zero, in a refinement. As FIRST, but cut off at +-2 cells.
- REFINE: not zero. An exponential slope of rate s over -1..1, falling away from zero, and a shelf over 1..2.

A small tail of ZERO and REFINE covers coefficients that writes of other layers moved outside their cell. Its mass, and
the height of the shelf, were counted in photographs. The rate (5) of a step is the sum of ``bits`` over its latents.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .quantiser import REFINEMENT, expand

FAMILIES = 3
FIRST, ZERO, REFINE = range(FAMILIES)
SCALES = 64
SMALLEST = (0.1, 0.1, 0.02)  # scale 0 of each family ...
LARGEST = (32.0, 8.0, 4.0)  # ... and scale 63, log-spaced between
SHELF = 0.07  # mass over 1..2 relative to that over 0..1, for REFINE
LEAK = (0.0, 0.08, 0.003)  # mass outside the nested cells, for ZERO relative to that off zero
LEAK_SCALE = 0.7
INFORMATION_UNIT, ESCAPE_BITS = 16, 8
# the group that shares a scale offset, of FIRST, ZERO, REFINE in maps of luma, and of chroma: ``coding.scale_offsets``
SHIFT_GROUPS = (1, 1, 0), (2, 2, 0)


def scale_of(index: Tensor, family: int) -> Tensor:
    """Scale index (real, 0..63) -> scale in cells."""
    low, high = math.log(SMALLEST[family]), math.log(LARGEST[family])
    return torch.exp(low + (high - low) / (SCALES - 1) * index)


def index_of(scale: float, family: int) -> float:
    """Scale in cells -> scale index (real, clamped to 0..63)."""
    low, high = math.log(SMALLEST[family]), math.log(LARGEST[family])
    return min(max((math.log(scale) - low) / (high - low) * (SCALES - 1), 0.0), SCALES - 1.0)


def index_moved(ratio: float, family: int) -> float:
    """What is added to the scale index of a distribution when cells become ``ratio`` times as wide."""
    added = math.log(ratio) / math.log(LARGEST[family] / SMALLEST[family]) * (SCALES - 1)
    return added if family == REFINE else -added  # a slope is one per cell


def _logistic_mass(low: Tensor, high: Tensor, inverse: Tensor | float) -> Tensor:
    """Mass of the logistic distribution between low <= high."""
    # by symmetry: work where the logistic function does not saturate
    mirrored = low + high > 0
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    return torch.sigmoid(high * inverse) - torch.sigmoid(low * inverse)


def _mass_from_zero(latent: Tensor, index: Tensor, family: int) -> Tensor:
    """Mass of the unit bin around ``latent`` (real, companded) for FIRST and ZERO."""
    inverse = 1 / scale_of(index, family)
    low, high = expand(latent - 0.5), expand(latent + 0.5)
    if family == FIRST:
        return _logistic_mass(low, high, inverse)
    outside = _logistic_mass(low, high, 1 / LEAK_SCALE)
    total = 1 - 2 * torch.sigmoid(-REFINEMENT * inverse)
    inside = _logistic_mass(low.clamp(-REFINEMENT, REFINEMENT), high.clamp(-REFINEMENT, REFINEMENT), inverse) / total
    leak = LEAK[ZERO] * (1 - (1 - 2 * torch.sigmoid(-inverse)) / total)
    return (1 - leak) * inside + leak * outside


def _mass_of_refinement(latent: Tensor, index: Tensor) -> Tensor:
    """Mass of the unit bin above ``latent`` (real) for REFINE."""
    slope = scale_of(index, REFINE)
    low, high, total = latent.clamp(-1, 1), (latent + 1).clamp(-1, 1), -torch.expm1(-2 * slope)
    inside = (torch.exp(-slope * (low + 1)) - torch.exp(-slope * (high + 1))) / total
    shelf = SHELF * (torch.exp(-slope) - torch.exp(-2 * slope)) / total
    inside = (inside + shelf * ((latent + 1).clamp(1, 2) - latent.clamp(1, 2))) / (1 + shelf)
    outside = _logistic_mass(latent, latent + 1, 1 / LEAK_SCALE)
    return (1 - LEAK[REFINE]) * inside + LEAK[REFINE] * outside


def probability(latent: Tensor, index: Tensor, family: int) -> Tensor:
    """Mass of the latent's cell: a whole number, or a real one as ``target`` gives it. index: real, 0..63."""
    return _mass_of_refinement(latent, index) if family == REFINE else _mass_from_zero(latent, index, family)


def bits(latent: Tensor, index: Tensor, sign: Tensor | None) -> Tensor:
    """Cost of latents in bits: the rate (5). sign: of each coefficient so far, -1, 0 or 1; None on its first visit."""
    latent, index = latent.float(), index.float()
    mass = probability(latent, index, FIRST if sign is None else ZERO)
    if sign is not None:
        significant = sign != 0
        mass = mass.masked_scatter(significant, probability(latent[significant], index[significant], REFINE))
    return -torch.log2(mass.clamp_min(2.0**-24))


def table_index(index: Tensor, sign: Tensor | None) -> Tensor:
    """Index into the frequency table for each latent: 64 family + scale index."""
    if sign is None:
        return index + SCALES * FIRST
    return index + SCALES * (ZERO + (REFINE - ZERO) * (sign != 0))


def frequency_table(symbols: int, precision: int) -> Tensor:
    """The frequency table to store, (192, symbols) int64: each distribution sums to 2**precision.

    Symbol i stands for the latent i - (symbols // 2 - 1); the last one is the escape. Every symbol has at
    least frequency 1, and what rounding leaves goes to the likeliest.
    """
    largest = symbols // 2 - 1
    latent = torch.arange(-largest, largest + 1, dtype=torch.float64)
    index = torch.arange(SCALES, dtype=torch.float64)[:, None]
    mass = torch.cat([probability(latent, index, family).expand(SCALES, -1) for family in range(FAMILIES)])
    return table_of(mass, precision)


def information_table(frequencies: Tensor) -> Tensor:
    """Expected bits of a latent under each distribution, in 1/16, int64: its entropy, and 8 bits for an escape."""
    share = frequencies.double() / frequencies[0].sum()
    return (INFORMATION_UNIT * ((-share * share.log2()).sum(1) + ESCAPE_BITS * share[:, -1])).round().long()


def table_of(mass: Tensor, precision: int) -> Tensor:
    """Masses (n, symbols - 1) -> frequencies (n, symbols), int64: the escape gets what is left."""
    mass = torch.cat([mass, (1 - mass.sum(1, keepdim=True)).clamp_min(0)], dim=1)
    total = 1 << precision
    frequencies = (mass * (total - 2 * mass.shape[1])).floor().long().clamp_min(1)
    frequencies[torch.arange(len(frequencies)), frequencies.argmax(1)] += total - frequencies.sum(1)
    return frequencies
