"""The output of a generative model: the size and kind of its pictures, and what a canvas says of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from ..configuration import Sizes
from ..errors import ConfigError

LEVELS = 256
LEVELS_A_UNIT = 64  # a canvas counts 64 levels of grey or colour as 1
LOG_VARIANCE = (-9.0, 6.0)  # of latents and canvas, beyond which nothing is gained


@dataclass(frozen=True)
class Output(Sizes):
    """Pictures of (channels, height, width); output: "bernoulli" for pixels of 0 and 1, "gaussian" for 0..255."""

    channels: int
    height: int
    width: int
    output: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in ("bernoulli", "gaussian"):
            raise ConfigError(f"the output of a model is bernoulli or gaussian, not {self.output!r}")

    @property
    def dimensions(self) -> int:
        """Numbers in a picture."""
        return self.channels * self.height * self.width

    @property
    def canvas_channels(self) -> int:
        """A logit for each number, or mean and logarithm of the variance."""
        return self.channels * (1 if self.output == "bernoulli" else 2)

    def units(self, x: Tensor) -> Tensor:
        """Pixels as a network sees them: 0 and 1, or levels around 0."""
        return x if self.output == "bernoulli" else (x - LEVELS / 2) / LEVELS_A_UNIT

    def numbers(self, units: Tensor) -> Tensor:
        """The inverse of ``units``."""
        return units if self.output == "bernoulli" else units * LEVELS_A_UNIT + LEVELS / 2

    def middles(self, levels: Tensor) -> Tensor:
        """Whole pixels as a network sees them: levels have noise of mean 1/2 in training."""
        return self.units(levels if self.output == "bernoulli" else levels + 0.5)

    def mean(self, canvas: Tensor) -> Tensor:
        """The picture that a canvas shows, in units."""
        return torch.sigmoid(canvas) if self.output == "bernoulli" else canvas[:, :self.channels]

    def deviation(self, canvas: Tensor) -> Tensor:
        """That of levels, in units."""
        return (canvas[:, self.channels:].clamp(*LOG_VARIANCE) / 2).exp()

    def error(self, x: Tensor, canvas: Tensor) -> Tensor:
        """The error of a canvas, equation (1); of levels, in the deviations that it expects."""
        wrong = x - self.mean(canvas)
        return wrong if self.output == "bernoulli" else wrong / self.deviation(canvas)

    def distribution(self, canvas: Tensor) -> Distribution:
        """Likelihood p(x | r_T), of 0 and 1 or of real levels 0..256."""
        canvas = canvas.float()
        if self.output == "bernoulli":
            return Bernoulli(logits=canvas, validate_args=False)
        return Normal(self.numbers(self.mean(canvas)), self.deviation(canvas) * LEVELS_A_UNIT, validate_args=False)
