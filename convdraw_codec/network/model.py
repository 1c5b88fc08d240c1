"""A model as a codec uses it: whole numbers alone, nothing to train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import Config
from .estimator import Estimator
from .forecast import Forecast
from .lapped_pyramid import Pyramid
from .lossless import ResidualStep
from .prior import Prior


@dataclass(frozen=True)
class Model:
    """pyramid: the transform. axes: of colour, rows, (3, 3) whole numbers in 1/2^13, float64. frequencies: of symbols
    in each row, in each pass, (passes, 576, 32); residual_frequencies: (256, 32). slopes: by which rows are ordered,
    (576,). known_table: see ``tables.known_table``. fingerprint: a hash of all of it, 16 hexadecimal digits."""

    config: Config
    pyramid: Pyramid
    axes: np.ndarray
    prior: Prior
    forecast: Forecast
    estimator: Estimator
    residual: list[ResidualStep]
    frequencies: np.ndarray
    residual_frequencies: np.ndarray
    slopes: np.ndarray
    known_table: np.ndarray
    fingerprint: str

    @property
    def padding(self) -> int:
        """Of what the sides of a padded picture are multiples, in pixels."""
        return self.config.layers[0].stride

    def luma(self, t: int) -> np.ndarray:
        """Which symbols of step t a grey picture has, (last - first,) bool."""
        step = self.config.steps[t]
        functions = len(self.pyramid.functions[step.layer])
        return self.pyramid.places[step.layer][step.first:step.last] < functions**2
