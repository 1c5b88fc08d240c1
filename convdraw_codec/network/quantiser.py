"""Quantisation of coefficients to whole latents, in cells that nest.

A coefficient that was always zero so far is quantised with a dead zone: latent k = 0 for |u| < 1 (u counts in
cells), and sign(u) floor(|u|) beyond, reconstructed in the middle of the cell, at sign(k) (|k| + 1/2). A
significant one is refined around its last reconstruction, outwards: u counts away from zero, k = floor(u), and
the reconstruction moves by k + 1/2. When the quantiser is halved, the dead zone of the old pass splits into
k = -1, 0, 1 and every other cell into k = -1, 0: all cells nest, as in the bit planes of JPEG 2000.
"""

from __future__ import annotations

import torch
from torch import Tensor

REFINEMENT = 2  # ratio of successive quantisers of a coefficient
LATENT_LIMIT = 63  # largest magnitude of a latent


def compand(u: Tensor) -> Tensor:
    """Halve the dead zone, so that rounding the result gives the latent of a coefficient that was zero."""
    return u - u.clamp(-1, 1) / 2


def expand(s: Tensor) -> Tensor:
    """The inverse of ``compand``."""
    return s + s.clamp(-0.5, 0.5)


def target(mean: Tensor, sign: Tensor | None) -> Tensor:
    """Posterior mean in cells -> the real number whose rounding is the latent."""
    return compand(mean) if sign is None else torch.where(sign == 0, compand(mean), mean * sign - 0.5)


def half_cells(latent: Tensor, sign: Tensor | None) -> Tensor:
    """Whole latents -> what they add to the coefficient, a whole number of half cells, of the same type."""
    from_zero = 2 * latent + latent.sign()
    return from_zero if sign is None else from_zero * (sign == 0) + (2 * latent + 1) * sign
