"""The texture network: what a faithful picture of few bytes may have lost, in bytes as the estimator.

It sees the picture, what the prior remembers of all layers, and noise, so that another seed gives another texture. It
looks at single pixels at half the finest stride, and far around at that stride.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..configuration import Sizes
from ..network.config import Config
from ..network.convolution import ZERO_POINT, ByteConv, Convolver
from ..network.estimator import AROUND, SEEN_UNIT, in_cells, residual_layers
from ..network.forecast import put_together, split_up
from ..network.lapped_pyramid import UNIT, from_positions, to_positions
from ..network.prior import State, enlarged, margins, widened

NOISE = 8  # bytes that each position of half the finest stride sees
SEEN = SEEN_UNIT * UNIT  # the cell of which pixels are seen in parts of one level
ADDED = UNIT // 2  # what is added counts in halves of a level


@dataclass(frozen=True)
class TextureSize(Sizes):
    """fine, channels: of hidden layers at half the finest stride, and at that stride. layers, last: residual
    convolutions, 3x3, at the latter, and then at the former."""

    fine: int
    channels: int
    layers: int
    last: int


@dataclass(frozen=True)
class Texture:
    """entry, hidden, last and exit: 3x3 convolutions. mix and spread: 1x1, from positions of half the finest stride to
    those of the finest one, and back. biases, mix_biases: of entry and mix after each step was begun, (T, outputs)
    int32."""

    config: Config
    size: TextureSize
    entry: ByteConv
    mix: ByteConv
    hidden: list[ByteConv]
    spread: ByteConv
    last: list[ByteConv]
    exit: ByteConv
    biases: np.ndarray
    mix_biases: np.ndarray

    @property
    def reach(self) -> int:
        """Positions of the finest layer that it looks beyond its own."""
        return self._beyond_last + len(self.hidden) + (1 + AROUND + 1) // 2

    @property
    def _beyond_last(self) -> int:
        """Those that ``last`` and ``exit`` look beyond their own."""
        return (len(self.last) + 2) // 2

    def added(self, t: int, planes: np.ndarray, states: list[State], noise: np.ndarray, seen: slice, strip: slice,
              convolve: Convolver) -> np.ndarray:
        """What it adds after step t was begun to the rows ``strip`` of positions of the finest layer: whole numbers in
        1/8 of a level, (3, rows, W) int32.

        planes: the faithful picture, in 1/8 of a level, of the rows ``seen``, which go as far as ``reach`` beyond.
        states: of all layers. noise: (2 H/s, 2 W/s, NOISE) bytes about 128.
        """
        stride, height = self.config.strides[-1] // 2, len(states[-1].h)
        inner = widened(strip, height, self._beyond_last)
        wider = widened(inner, height, len(self.hidden))
        fine = self._entry(t, to_positions(planes, stride), noise[doubled(seen)], seen, wider, convolve)
        around = [enlarged(state.h, layer.stride // self.config.strides[-1], wider)
                  for state, layer in zip(states, self.config.layers, strict=True)]
        x = convolve(self.mix, np.concatenate([*around, put_together(fine)], axis=2), self.mix_biases[t])
        x = residual_layers(self.hidden, x, wider, inner, height, convolve)
        kept = slice(2 * (inner.start - wider.start), 2 * (inner.stop - wider.start))
        total = np.add(fine[kept], split_up(convolve(self.spread, x)), dtype=np.int16)
        fine = (total - ZERO_POINT).clip(0, 255).astype(np.uint8)
        mine = doubled(strip)
        outer = widened(mine, 2 * height, 1)
        first = widened(outer, 2 * height, len(self.last))
        fine = fine[first.start - 2 * inner.start:first.stop - 2 * inner.start]
        fine = residual_layers(self.last, fine, first, outer, 2 * height, convolve)
        found = convolve(self.exit, margins(fine, outer, mine, np.zeros(fine.shape[2], np.uint8)))
        return from_positions((found.astype(np.int32) - ZERO_POINT) * ADDED, stride)

    def _entry(self, t: int, patches: np.ndarray, noise: np.ndarray, seen: slice, strip: slice, convolve: Convolver
               ) -> np.ndarray:
        """The first hidden layer, of the rows ``strip``, from pixels and noise of the rows ``seen``."""
        together = np.concatenate([in_cells(patches, SEEN), noise], axis=2)
        outside = np.full(together.shape[2], ZERO_POINT, np.uint8)
        return convolve(self.entry, margins(together, doubled(seen), doubled(strip), outside), self.biases[t])


def doubled(rows: slice) -> slice:
    """At half the stride."""
    return slice(2 * rows.start, 2 * rows.stop)


def noise_of(seed: int, height: int, width: int) -> np.ndarray:
    """(height, width, NOISE) bytes about 128, from -127 to 127: the same on every machine."""
    raw = np.random.Philox(key=seed).random_raw(height * width).astype("<u8")
    return np.maximum(raw.view(np.uint8), np.uint8(1)).reshape(height, width, NOISE)
