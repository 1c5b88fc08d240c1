"""The retouch, or post-filter: what a cut picture most likely looked like, by a network over the pixels that it shows.

It stands in for steps that are not stored, once, at the end, and nothing is fed back. Bytes, as in the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .lapped_pyramid import from_positions, to_positions
from .prior import margins, strips, widened

ADDED_UNIT = 1024  # what is added to levels counts in 1/1024 of the last quantiser
STRIP_PIXELS = 2**19  # that are looked at together


@dataclass(frozen=True)
class Retouch:
    """entry, hidden and exit: 3x3 convolutions. biases: of the entry after each step was begun, (T, channels) int32."""

    config: Config
    entry: ByteConv
    hidden: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray

    def apply(self, t: int, shown: np.ndarray, convolve: Convolver) -> np.ndarray:
        """Pictures (3, H, W) uint8 after step t was begun -> as they most likely were."""
        stride, quantiser = self.config.retouch.stride, round(4 * self.config.steps[t].quantiser)
        patches = to_positions(shown, stride)
        height, reach, result = len(patches), len(self.hidden) + 2, np.empty_like(shown)
        for strip in strips(height, STRIP_PIXELS // (shown.shape[2] * stride)):
            seen = widened(strip, height, reach)
            inner = widened(strip, height, reach - 1)
            around = margins(patches[seen], seen, inner, np.full(patches.shape[2], ZERO_POINT, np.uint8))
            x, nothing = convolve(self.entry, around, self.biases[t]), np.zeros(self.config.retouch.channels, np.uint8)
            for done, convolution in enumerate(self.hidden, 2):
                seen, inner = inner, widened(strip, height, reach - done)
                change = convolve(convolution, margins(x, seen, inner, nothing)).astype(np.int16) - ZERO_POINT
                mine = slice(inner.start - seen.start, inner.stop - seen.start)
                x = (x[mine] + change).clip(0, 255).astype(np.uint8)
            added = convolve(self.exit, margins(x, inner, strip, nothing)).astype(np.int32) - ZERO_POINT
            levels = patches[strip].astype(np.int32) + (added * quantiser + 2 * ADDED_UNIT >> 12)
            result[:, stride * strip.start:stride * strip.stop] = from_positions(levels.clip(0, 255), stride)
        return result
