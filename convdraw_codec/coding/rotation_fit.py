"""Which colours suit a picture: its mean, and the axes along which neighbours differ most, least and in between.

With those as the model's axes (sum of colours, red against blue, green against both), a picture of few hues has little
chroma."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..format.rotation import FIRST, Colours
from ..network.lapped_pyramid import colour_axes

ROWS = 512  # of a picture that are looked at together


def colours_of(pixels: np.ndarray) -> Colours:
    """The colours of a picture, (H, W, 3) or grey (H, W), uint8. Grey is not turned: it has one axis."""
    if pixels.ndim == 2:
        grey = round(float(pixels.mean()))
        return Colours((grey, grey, grey))
    red, green, blue = (round(float(pixels[..., i].mean())) for i in range(3))
    return Colours((red, green, blue), _turn(_variation(pixels)))


def _variation(pixels: np.ndarray) -> np.ndarray:
    """Products of the colours of steps between neighbours, summed over a picture: (3, 3) float64, exact."""
    total = np.zeros((3, 3))
    for first in range(0, len(pixels), ROWS):
        rows = pixels[first:first + ROWS + 1].astype(np.float64)  # one of the next, to step to
        for steps in (np.diff(rows, axis=0), np.diff(rows[:ROWS], axis=1)):
            each = steps.reshape(-1, 3)
            total += each.T @ each
    return total


def _turn(variation: np.ndarray) -> tuple[int, int, int]:
    """The smallest turn that takes the model's axes to the main axes of what varies so."""
    main = np.linalg.eigh(variation)[1].T[::-1]
    turns = [(main * np.array(signs)[:, None]).T @ colour_axes() for signs in itertools.product((1, -1), repeat=3)]
    turn = max((turn for turn in turns if np.linalg.det(turn) > 0), key=np.trace)
    first = math.sqrt(max(1 + np.trace(turn), 1e-9)) / 2
    others = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / (4 * first)
    b, c, d = np.rint(FIRST * others / first).clip(-FIRST, FIRST).astype(int).tolist()
    return b, c, d
