"""The plausible picture: the faithful one with texture, inside what is stored.

A coefficient that texture would move out of its cell stays just inside. So the picture, encoded again, gives the stored
symbols again, but where pixels are cut off at black and white.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np

from ..coding.canvas import Canvas, colour_matrix, in_levels
from ..coding.sessions import Session
from ..coding.strip_transform import StripTransform
from ..network.lapped_pyramid import UNIT
from ..network.prior import widened
from .texture import Texture, noise_of

DETAIL_BITS = 8  # the share of the texture that is added counts in 1/256
INSIDE = UNIT  # how far from the border of its cell a coefficient stays, since pixels are rounded to whole levels
LEAST_PART = 4  # or a quarter of the cell


def plausible(texture: Texture, session: Session, *, seed: int, detail: float) -> np.ndarray:
    """What a session shows, (3, H, W) uint8. seed: of the noise, 0 to 2**64 - 1. detail: how much of the texture is
    added, 0 to 1."""
    canvas, states, t = session.canvas, session.states, session.last_begun
    convolve, colours = session.network.convolve, session.header.colours
    transform, last = canvas.transform, len(states) - 1
    side, (rows, columns) = transform.side(last), transform.sizes[last]
    noise, share = noise_of(seed, 2 * rows, 2 * columns), round(detail * (1 << DETAIL_BITS))
    faithful = transform.gathered(lambda strip: canvas.estimated(strip, t, convolve), np.int16, convolve)

    def textured(strip: slice) -> np.ndarray:
        seen = widened(strip, rows, texture.reach)
        planes = faithful[:, side * seen.start:side * seen.stop].astype(np.int32)
        added = texture.added(t, planes, states, noise, seen, strip, convolve)
        mine = side * (strip.start - seen.start)
        return planes[:, mine:mine + added.shape[1]] + (added * share + (1 << DETAIL_BITS - 1) >> DETAIL_BITS)

    kept, picture = list[np.ndarray](), cast(Callable[[slice], np.ndarray], textured)
    for layer in reversed(range(last + 1)):
        kept.insert(0, np.empty(canvas.known[layer].shape, np.int32))
        smaller = transform.split(layer, picture, partial(_keep, canvas, layer, kept[0]), convolve)
        picture = partial(_rows, smaller, transform.side(layer - 1))
    made = StripTransform(transform.pyramid, transform.sizes, lambda layer, strip: kept[layer][strip])
    matrix = colour_matrix(colours, canvas.model.axes)
    return made.gathered(lambda strip: in_levels(made.made(last, strip), matrix, colours.mean), np.uint8, convolve)


def _keep(canvas: Canvas, layer: int, kept: np.ndarray, strip: slice, values: np.ndarray) -> None:
    kept[strip] = inside(values, *canvas.bounds(layer, strip))


def _rows(planes: np.ndarray, side: int, strip: slice) -> np.ndarray:
    return planes[:, side * strip.start:side * strip.stop]


def inside(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whole numbers, moved between bounds, and a little inside."""
    least = np.minimum((high - low) // LEAST_PART, INSIDE)
    return values.clip(low + least, high - least)
