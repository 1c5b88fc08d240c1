"""The residual steps at work on one picture: from shown pixels to exact ones, strip by strip."""

from __future__ import annotations

import numpy as np

from ..format.constants import RESIDUAL_STEPS
from ..network.config import SQUARE
from ..network.convolution import Convolver
from ..network.lossless import COLOURS, SCALES, place_of, split_centre, squares
from ..network.model import Model
from ..network.prior import strips

STRIP_SQUARES = 2**17  # that are looked at together
RESIDUAL_LIMIT = 128  # of magnitudes: a residual is a difference modulo 256


class ExactPixels:
    """A picture of which some pixels are known exactly, and the others as shown.

    shown: (3, H, W) uint8, after all steps of the model; H and W even. grey: one residual stands for three channels.
    A step's residuals, (H/2, W/2), are the exact level less that of the predicted centre, modulo 256, -128..127.
    """

    def __init__(self, model: Model, convolve: Convolver, shown: np.ndarray, *, grey: bool):
        self._steps, self._convolve, self._grey = model.residual, convolve, grey
        if grey:
            shown = np.broadcast_to((shown.sum(0, dtype=np.uint16) + 1) // 3, shown.shape).astype(np.uint8)
        self._shown, self._pixels = squares(shown), shown.copy()
        height, width, _ = self._shown.shape
        self._known = np.zeros((height, width, RESIDUAL_STEPS), np.int16)  # exact level less the shown one
        self._centres = np.empty(0, np.uint8)

    def sends(self, i: int) -> bool:
        """Whether a file holds residuals of the step i."""
        return not self._grey or place_of(i)[0] == COLOURS[0]

    def predict(self, i: int) -> np.ndarray:
        """Row of the frequency table for each residual of the step i, (H/2, W/2) uint8."""
        height, width, _ = self._shown.shape
        rows, levels = np.empty((height, width), np.uint8), np.empty((height, width), np.int16)

        def part(strip: slice) -> None:
            centre, scale = self._steps[i].predict(self._shown, self._known[..., :i], strip, self._convolve)
            levels[strip], left = split_centre(centre)
            rows[strip] = left * SCALES + scale

        self._convolve.for_all(part, strips(height, STRIP_SQUARES // width, self._convolve.threads))
        self._centres = (self._shown[..., i] + levels).astype(np.uint8)  # modulo 256
        return rows

    def choose(self, i: int, planes: np.ndarray, width: int, height: int) -> np.ndarray:
        """The residuals of the step i in a picture, (3, H, W) uint8, padded at right and bottom; after ``predict``."""
        colour, rows, columns = self._where(i)
        residuals = (planes[colour, rows, columns] - self._centres).view(np.int8)
        residuals[len(range(height)[rows]):] = 0  # padding: send the default
        residuals[:, len(range(width)[columns]):] = 0
        return residuals

    def draw(self, i: int, residuals: np.ndarray, there: np.ndarray | None = None) -> None:
        """Make pixels of the step i exact, those that are ``there``, if not all are; after ``predict``."""
        colour, rows, columns = self._where(i)
        exact = self._centres + residuals.astype(np.uint8)
        if there is not None:
            exact = np.where(there, exact, self._pixels[colour, rows, columns])
        self._pixels[slice(None) if self._grey else colour, rows, columns] = exact
        for step in range(i, i + 3) if self._grey else [i]:
            self._known[..., step] = exact.astype(np.int16) - self._shown[..., step]

    def pixels(self) -> np.ndarray:
        """What is known, (3, H, W) uint8."""
        return self._pixels.copy()

    def _where(self, i: int) -> tuple[int, slice, slice]:
        """Colour, rows and columns of the pixels of the step i."""
        colour, y, x = place_of(i)
        return colour, slice(y, None, SQUARE), slice(x, None, SQUARE)
