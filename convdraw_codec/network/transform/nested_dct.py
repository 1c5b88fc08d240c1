"""Where the model starts: a transform of the lapped picture in which every coefficient belongs to one layer.

A nested, orthonormal cosine transform: coefficients of low frequency move up to the next coarser layer, as a
picture of fewer pixels. There, the coarser blocks share their borders too (``Overlap``), as in JPEG XR.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

from ..exact_conv import round_through
from .lapped_transform import FILTER_UNIT, cosines, lap, lapping_filter, unlap

SPREAD_LIMIT = 2**14  # what ``Overlap.spread`` takes at most, so that float64 stays exact
TURN = math.radians(15)  # of ``Overlap``, across blocks of four: best coding gain behind the finest (rho = 0.95)


def colour_axes() -> np.ndarray:
    """The model's colour axes, orthonormal rows, luma first: (3, 3) float64."""
    axes = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def _promoted(functions: int) -> int:
    """How many of a layer's functions along one axis the coarser layer takes."""
    return 2 if functions >= 4 else 1


def nested_functions(strides: list[int]) -> list[Tensor]:
    """The functions of each layer along one axis, coarse to fine, float64 (n, stride), rows by frequency.

    Those of the finest are cosines; others are nearest to cosines in the span of the finer layer's low frequencies.
    """
    result = [cosines(strides[-1])]
    for coarser, stride in reversed(list(itertools.pairwise(strides))):
        span = torch.block_diag(*[result[0][:_promoted(len(result[0]))]] * (coarser // stride))
        left, _, right = torch.linalg.svd(cosines(coarser)[:len(span)] @ span.T)
        result.insert(0, left @ right @ span)
    return result


def nested_transform(strides: list[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each layer, coarse to fine: basis (n, 3 s s) with orthonormal rows, expected deviation (n,), and
    which rows are luma (n,), bool: those are all that a grey picture needs.

    Rows are ordered by the deviation to expect in a photograph. Over all layers the basis is complete.
    """
    colours = torch.from_numpy(colour_axes())
    result: list[tuple[Tensor, Tensor, Tensor]] = []
    for layer, (stride, functions) in enumerate(zip(strides, nested_functions(strides), strict=True)):
        promoted = _promoted(len(functions)) if layer else 0
        rows, deviations, lumas = [], [], []
        for v, fv in enumerate(functions):
            for u, fu in enumerate(functions):
                if u < promoted and v < promoted:
                    continue
                frequency = math.hypot(u, v) / (2 * stride)
                for colour, amplitude, luma in zip(colours, (1.0, 0.2, 0.15), (True, False, False), strict=True):
                    lumas.append(luma)
                    rows.append(torch.einsum("c,y,x->cyx", colour, fv, fu).flatten())
                    deviations.append(amplitude * (6 / frequency if frequency else 80 * stride))
        deviation = torch.tensor(deviations, dtype=torch.float32)
        order = torch.argsort(deviation, descending=True, stable=True)
        result.append((torch.stack(rows)[order].float(), deviation[order], torch.tensor(lumas)[order]))
    return result


def coefficient_counts(strides: list[int]) -> list[int]:
    """How many coefficients each layer has: the number of functions in each basis of ``nested_transform``."""
    functions, counts = strides[-1], []
    for coarser, stride in reversed(list(itertools.pairwise(strides))):
        counts.append(3 * (functions**2 - _promoted(functions) ** 2))
        functions = _promoted(functions) * (coarser // stride)
    return [3 * functions**2, *reversed(counts)]


class Overlap(nn.Module):
    """Between the lapped picture and the picture of which a layer transforms blocks; orthonormal.

    At each layer but the finest, low frequencies of the finer blocks stand for a picture of fewer pixels, and a
    filter crosses the borders of the coarser blocks there. A level is such a smaller picture here, counted from fine to
    coarse; the matrices are whole numbers in 1/2^14, float64.
    """

    def __init__(self, strides: list[int]):
        super().__init__()
        self.levels = len(strides) - 1
        pixels = torch.eye(strides[-1], dtype=torch.float64)  # the smaller picture's, as functions on a block
        functions = nested_functions(strides)
        for level, layer in enumerate(reversed(range(1, len(strides)))):
            promoted, ratio = _promoted(len(functions[layer])), strides[layer - 1] // strides[layer]
            smaller = cosines(promoted).T @ functions[layer][:promoted]
            shrink = (smaller @ pixels.T * FILTER_UNIT).round()
            self.register_buffer(f"shrink_{level}", shrink, persistent=False)
            size = ratio * promoted
            across = lapping_filter(1 if size % 2 else size, TURN if size == 4 else None)
            self.register_buffer(f"filter_{level}", across, persistent=False)
            pixels = torch.block_diag(*[smaller] * ratio)

    def shrink(self, level: int) -> Tensor:
        """From a block of this level to its pixels of the smaller picture."""
        return self.get_buffer(f"shrink_{level}")

    def filter(self, level: int) -> Tensor:
        """Across the borders of the blocks of the smaller picture."""
        return self.get_buffer(f"filter_{level}")

    def gather(self, picture: Tensor, layer: int, level: int = 0) -> Tensor:
        """Towards the coefficients of a layer, (..., H, W) float32."""
        if layer + level == self.levels:
            return picture
        shrink = (self.shrink(level) / FILTER_UNIT).to(picture)
        small = _both_ways(picture, shrink)
        lapped = self.gather(lap(small, self.filter(level)), layer, level + 1)
        return picture + _both_ways(lapped - small, shrink.T)

    def spread(self, picture: Tensor, layer: int, level: int = 0) -> Tensor:
        """The inverse, on whole numbers (..., H, W) up to ``SPREAD_LIMIT``, float32.

        Exact in whatever order the sums are taken: in float64, none reaches 2^53.
        """
        if layer + level == self.levels:
            return picture
        shrink = (self.shrink(level) / FILTER_UNIT).to(picture.device)
        small = _round(_both_ways(picture.double(), shrink))
        unlapped = _round(unlap(self.spread(small, layer, level + 1), self.filter(level)) * FILTER_UNIT**-2)
        return _round(_both_ways(unlapped - small, shrink.T)).to(picture.dtype).add_(picture)

    def largest_sum(self, level: int = 0, limit: float = SPREAD_LIMIT) -> tuple[float, float]:
        """The largest magnitudes that ``spread`` can reach, of any sum and of its result, whatever the picture."""
        if level == self.levels:
            return limit, limit
        shrink, across = self.shrink(level), self.filter(level)
        down, up = (matrix.abs().sum(1).max().item() ** 2 for matrix in (shrink, shrink.T))
        over = max(across.abs().sum(0).max().item(), FILTER_UNIT) ** 2
        small = limit * down / FILTER_UNIT**2 + 1
        inner, unlapped = self.largest_sum(level + 1, small)
        change = unlapped * over / FILTER_UNIT**2 + 1 + small
        return (max(inner, limit * down, unlapped * over, change * up), limit + change * up / FILTER_UNIT**2 + 1)


def _both_ways(picture: Tensor, matrix: Tensor) -> Tensor:
    """Apply the matrix to every block, along both axes: (..., H, W) -> (..., rows / columns H, same W)."""

    def rows(x: Tensor) -> Tensor:
        return (matrix @ x.unflatten(-2, (-1, matrix.shape[1]))).flatten(-3, -2)

    def columns(x: Tensor) -> Tensor:
        return (x.unflatten(-1, (-1, matrix.shape[1])) @ matrix.T).flatten(-2)

    return columns(rows(picture)) if matrix.shape[0] < matrix.shape[1] else rows(columns(picture))  # the least work


def _round(x: Tensor) -> Tensor:
    """Half to even; where no gradient is wanted, in place."""
    return round_through(x) if x.requires_grad else x.round_()
