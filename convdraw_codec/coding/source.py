"""The latents of a picture: its coefficients, in the cells of each step."""

from __future__ import annotations

import numpy as np

from ..format.rotation import TURN_UNIT, Colours
from ..network.lapped_pyramid import UNIT
from ..network.model import Model
from ..network.prior import strips, widened
from .canvas import FIRST_LIMIT, LARGEST_KNOWN
from .strip_transform import SHOWN_PIXELS

LARGEST_LEVEL = 16000  # of a coefficient; pictures hardly reach it


class Latents:
    """planes: (3, H, W) uint8, padded to multiples of the model's padding. Only the encoder has them, and rounds as it
    likes: what it chooses is in the file."""

    def __init__(self, model: Model, planes: np.ndarray, colours: Colours):
        self._config = model.config
        self._cells = model.config.cells(len(model.config.steps))
        largest = _largest(model)
        self._finest: list[np.ndarray] = []
        last, stride = len(self._cells) - 1, model.config.layers[-1].stride
        matrix = (model.axes / np.linalg.norm(model.axes, axis=1, keepdims=True)
                  @ np.array(colours.matrix(), np.float64).T / TURN_UNIT).astype(np.float32)
        shape = planes.shape[1] // stride, planes.shape[2] // stride, len(model.pyramid.places[last])
        finest, smaller = np.empty(shape, np.int16), np.empty((3, 2 * shape[0], 2 * shape[1]), np.float32)
        for strip in strips(shape[0], SHOWN_PIXELS // (stride**2 * shape[1])):
            seen = widened(strip, shape[0], 1)  # blocks overlap
            pixels = planes[:, stride * seen.start:stride * seen.stop].astype(np.float32)
            turned = matrix @ (pixels - np.array(colours.mean, np.float32)[:, None, None]).reshape(3, -1)
            found, low = model.pyramid.split(last, turned.reshape(pixels.shape))
            mine = slice(strip.start - seen.start, strip.stop - seen.start)
            finest[strip] = _quantised(found[mine], self._cells[last], largest[last])
            smaller[:, 2 * strip.start:2 * strip.stop] = low[:, 2 * mine.start:2 * mine.stop]
        self._finest.append(finest)
        for layer in reversed(range(last)):
            found, smaller = model.pyramid.split(layer, smaller)
            self._finest.insert(0, _quantised(found, self._cells[layer], largest[layer]))

    def of_step(self, t: int, strip: slice = slice(None)) -> np.ndarray:
        """In which cell of step t each of its coefficients lies, with its sign: (rows, W/s, last - first) int16."""
        step = self._config.steps[t]
        coefficients = slice(step.first, step.last)
        finest = self._finest[step.layer][strip][..., coefficients]
        ratio = step.cell // self._cells[step.layer][coefficients]
        return (np.sign(finest) * (np.abs(finest) // ratio)).astype(np.int16)


def _largest(model: Model) -> list[np.ndarray]:
    """How large each coefficient may be in its finest cells: what the first step that sends it can say, and what the
    canvas holds."""
    result = []
    for layer, cells in enumerate(model.config.cells(len(model.config.steps))):
        widest = np.zeros_like(cells)
        for step in reversed(model.config.steps):
            if step.layer == layer:
                widest[step.first:step.last] = step.cell
        largest = np.minimum(widest * (FIRST_LIMIT - 1), LARGEST_LEVEL * UNIT) // np.maximum(cells, 1)
        result.append(np.minimum(largest, LARGEST_KNOWN) * (cells > 0))
    return result


def _quantised(coefficients: np.ndarray, cells: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Real coefficients in levels -> their cells, with a dead zone of two cells about 0, int16."""
    inverse = np.where(cells, UNIT / np.maximum(cells, 1), 0).astype(np.float32)
    return np.trunc(np.clip(coefficients * inverse, -largest, largest)).astype(np.int16)
