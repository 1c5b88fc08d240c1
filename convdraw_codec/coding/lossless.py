"""The residual steps at work on one picture: from shown pixels to exact ones, tile by tile."""

from __future__ import annotations

import numpy as np
import torch

from ..network.config import SQUARE
from ..network.conv_draw import ConvDRAW
from ..network.lossless import COLOURS, SCALES, place_of, split_centre, squares
from ..network.post_filter import MIDDLE
from .tiling import Tiling, exactly, put

BAND_ROWS = 16


def bands(values: np.ndarray) -> list[np.ndarray]:
    """The maps of a step, by which it is coded: a few rows of squares each."""
    return [values[first:first + BAND_ROWS] for first in range(0, len(values), BAND_ROWS)]


class ExactPixels:
    """A picture of which some pixels are known exactly, and the others as shown.

    shown: (3, H, W) uint8, after all steps of the model; H and W even. grey: one residual stands for three channels.
    A step's residuals, int8 (H/2, W/2), are the exact level less that of the predicted centre, modulo 256.
    """

    def __init__(self, model: ConvDRAW, shown: np.ndarray, *, grey: bool):
        self._model, self._grey = model, grey
        self._shown = np.broadcast_to((shown.sum(0, dtype=np.uint16) + 1) // 3, shown.shape) if grey else shown
        self._shown = np.ascontiguousarray(self._shown, np.uint8)
        self._pixels = self._shown.copy()
        self._centres = np.empty(0, np.uint8)

    def sends(self, i: int) -> bool:
        """Whether a file holds residuals of the step i."""
        return not self._grey or place_of(i)[0] == COLOURS[0]

    @exactly
    def predict(self, i: int) -> np.ndarray:
        """Index into the frequency table for each residual of the step i, (H/2, W/2) uint8."""
        _, height, width = self._shown.shape
        tiling, network = Tiling(height, width, SQUARE, self._model.residual.reach), self._model.residual.step(i)
        planes = {"shown": (torch.from_numpy(self._shown), 1), "pixels": (torch.from_numpy(self._pixels), 1)}
        indices = np.empty((1, height // SQUARE, width // SQUARE), np.uint8)
        centres = np.empty(indices.shape, np.int16)
        for tile in tiling.tiles(planes):
            seen, known = (squares(tile.batch(name).float()) for name in planes)
            centre, index = network(seen - MIDDLE, (known - seen)[:, :i])
            level, left = split_centre(centre)
            put(indices, (left * SCALES + index)[0], tile, SQUARE)
            put(centres, level[0], tile, SQUARE)
        colour, place = self._where(i)
        self._centres = (self._shown[colour][place] + centres[0]).astype(np.uint8)  # modulo 256
        return indices[0]

    def choose(self, i: int, planes: np.ndarray, width: int, height: int) -> np.ndarray:
        """The residuals of the step i in a picture, (3, H, W) uint8, padded at right and bottom; after ``predict``."""
        colour, (rows, columns) = self._where(i)
        residuals = (planes[colour, rows, columns] - self._centres).view(np.int8)
        residuals[len(range(height)[rows]):] = 0  # padding: send the default
        residuals[:, len(range(width)[columns]):] = 0
        return residuals

    def draw(self, i: int, residuals: np.ndarray) -> None:
        """Make pixels of the step i exact, those in the first rows, if not all are there; after ``predict``."""
        colour, (rows, columns) = self._where(i)
        exact = self._centres[:len(residuals)] + residuals.view(np.uint8)
        self._pixels[slice(None) if self._grey else colour, rows, columns][..., :len(residuals), :] = exact

    def pixels(self) -> np.ndarray:
        """What is known, (3, H, W) uint8."""
        return self._pixels.copy()

    def _where(self, i: int) -> tuple[int, tuple[slice, slice]]:
        """Colour, rows and columns of the pixels of the step i."""
        colour, y, x = place_of(i)
        return colour, (slice(y, None, SQUARE), slice(x, None, SQUARE))
