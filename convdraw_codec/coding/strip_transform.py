"""The transform of a picture in strips of rows, which threads share and which bound memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..network.convolution import Convolver
from ..network.lapped_pyramid import Pyramid
from ..network.prior import strips, widened

SHOWN_PIXELS = 2**19  # that are made at a time


class StripTransform:
    """sizes: rows and columns of positions of each layer. coefficients: some rows of those of a layer, (rows, W/s,
    coefficients), whole numbers in 1/8 of a level."""

    def __init__(self, pyramid: Pyramid, sizes: list[tuple[int, int]],
                 coefficients: Callable[[int, slice], np.ndarray]):
        self.pyramid, self.sizes, self._coefficients = pyramid, sizes, coefficients
        self._low: list[np.ndarray | None] = [None] * len(sizes)  # as it was last asked for

    def low(self, layer: int) -> np.ndarray | None:
        """The picture that the layers before this one make, of 2x2 pixels a position: (3, 2 H/s, 2 W/s) int32."""
        if layer and self._low[layer] is None:
            rows, columns = self.sizes[layer]
            made, side = np.empty((3, 2 * rows, 2 * columns), np.int32), self.side(layer - 1)
            for strip in self.strips(layer - 1):
                made[:, side * strip.start:side * strip.stop] = self.made(layer - 1, strip)
            self._low[layer] = made
        return self._low[layer]

    def made(self, layer: int, strip: slice) -> np.ndarray:
        """The picture that the layers up to this one make, of some rows of its positions: (3, n rows, n W/s) float64,
        whole numbers in 1/8 of a level, n being the ``side`` of the layer."""
        seen, low, side = widened(strip, self.sizes[layer][0], 1), self.low(layer), self.side(layer)
        smaller = None if low is None else low[:, 2 * seen.start:2 * seen.stop]
        planes = self.pyramid.synthesis(layer, self._coefficients(layer, seen), smaller)  # whose blocks overlap
        return planes[:, side * (strip.start - seen.start):side * (strip.stop - seen.start)]

    def gathered(self, made: Callable[[slice], np.ndarray], kind: type[np.generic], convolve: Convolver) -> np.ndarray:
        """A whole picture of that type, (3, H, W), of what is ``made`` of each strip of the finest layer."""
        last = len(self.sizes) - 1
        side, (rows, columns) = self.side(last), self.sizes[last]
        result: np.ndarray = np.empty((3, side * rows, side * columns), kind)
        self.low(last)  # once, for all strips

        def put(strip: slice) -> None:
            result[:, side * strip.start:side * strip.stop] = made(strip)

        convolve.for_all(put, self.strips(last, convolve.threads))
        return result

    def changed(self, layer: int) -> None:
        """Coefficients of a layer are others now."""
        self._low[layer + 1:] = [None] * (len(self._low) - layer - 1)

    def split(self, layer: int, picture: Callable[[slice], np.ndarray], take: Callable[[slice, np.ndarray], None],
              convolve: Convolver) -> np.ndarray:
        """Give the coefficients of a layer to ``take``, strip by strip, (rows, W/s, coefficients) float64: those of a
        picture of this layer and coarser ones, whose rows of positions ``picture`` gives. All whole numbers, in any
        order of strips. What is left of it for the coarser layers: (3, 2 H/s, 2 W/s) int32."""
        rows, columns = self.sizes[layer]
        smaller = np.empty((3, 2 * rows, 2 * columns), np.int32)

        def part(strip: slice) -> None:
            seen = widened(strip, rows, 1)  # blocks overlap
            mine = slice(strip.start - seen.start, strip.stop - seen.start)
            values, low = self.pyramid.whole_split(layer, picture(seen))
            take(strip, values[mine])
            smaller[:, 2 * strip.start:2 * strip.stop] = low[:, 2 * mine.start:2 * mine.stop]

        convolve.for_all(part, self.strips(layer, convolve.threads))
        return smaller

    def side(self, layer: int) -> int:
        """Pixels of a position of a layer, in the picture that it and coarser ones make."""
        return len(self.pyramid.functions[layer])

    def strips(self, layer: int, parts: int = 1) -> list[slice]:
        """Some rows of positions of a layer at a time."""
        rows, columns = self.sizes[layer]
        return strips(rows, SHOWN_PIXELS // (columns * self.side(layer) ** 2), parts)
